//! A cloud that refuses the gateway's certificate: said clearly, tried seldom, and nothing lost.

use std::time::Duration;

use crate::support::{
    Authority, Cloud, Fleet, Gateway, Load, Subscriber, compare, folder, holds_for, mosquitto_pub,
};

const LIMIT: Duration = Duration::from_mins(1);
/// Ten times as long as the pause after an ordinary failure.
const WATCH: Duration = Duration::from_secs(5);

#[test]
fn a_refused_certificate_is_named_tried_seldom_and_costs_nothing() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let stranger = Authority::new(folder.path(), "stranger").client("gw-unknown");
    let own = folder.path().join("gateway");
    let refused = cloud.uplink_as(&stranger, "backoff_refused = \"1h\"");
    let mut gateway = Gateway::new(&own, &refused);
    gateway.start();

    let line = gateway.wait_logged(&["error", "uplink.cert", "gw-unknown.crt"]);
    let attempts = cloud.network.accepted();
    assert!(attempts <= 2, "{attempts} attempts before {line:?}");
    assert!(
        holds_for(WATCH, || cloud.network.accepted() == attempts),
        "the pause after a refusal is an ordinary one"
    );

    let address = gateway.address.get();
    let local = Subscriber::start(folder.path(), address, &["-t", "local/#", "-q", "1"]);
    mosquitto_pub(address, &["-t", "local/x", "-m", "still here", "-q", "1"]);
    local.wait_line("local/x still here");
    let load = Load { devices: 5, messages_each: 400, ..Load::default() };
    let (logs, _) = Fleet::start(load, gateway.address.clone()).finish(LIMIT);
    let held = gateway.ledger();
    held.expect_exact();
    assert_eq!((held.total("telemetry").queued, held.total("telemetry").delivered), (2_000, 0));
    gateway.stop();

    let mut gateway = Gateway::new(&own, &cloud.uplink());
    gateway.start();
    gateway.drain_and_stop("telemetry", LIMIT);
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!((verdict.arrived, verdict.duplicates), (2_000, 0));
}

#[test]
fn a_cloud_that_is_not_who_it_claims_gets_nothing() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let own = folder.path().join("gateway");
    std::fs::create_dir_all(&own).unwrap();
    let other = Authority::new(&own, "other");
    let uplink = cloud.uplink().replace(
        &format!("ca = \"{}\"", cloud.authority.cert.display()),
        &format!("ca = \"{}\"", other.cert.display()),
    );
    let mut gateway = Gateway::new(&own, &uplink);
    gateway.start();
    gateway.wait_logged(&["uplink.ca", "other.crt"]);
    let load = Load { devices: 1, messages_each: 50, ..Load::default() };
    Fleet::start(load, gateway.address.clone()).finish(LIMIT);
    assert!(holds_for(Duration::from_secs(2), || cloud.recorder.arrived() == 0));
    assert_eq!(gateway.ledger().total("telemetry").queued, 50);
}
