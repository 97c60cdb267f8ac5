//! A network that swallows everything in silence: no FIN, no RST, no answer.

use std::time::Duration;

use crate::support::{Cloud, Fleet, Gateway, Load, Weather, compare, folder, wait_until};

const LIMIT: Duration = Duration::from_mins(2);
/// The gateway's own limits below are a few seconds.
const NOTICE_LIMIT: Duration = Duration::from_secs(45);
const IMPATIENT: &str = "keep_alive = \"5s\"\nack_timeout = \"2s\"";

fn gateway_of(cloud: &Cloud, folder: &std::path::Path) -> Gateway {
    let identity = cloud.authority.client("gw-test");
    Gateway::new(&folder.join("gateway"), &cloud.uplink_as(&identity, IMPATIENT))
}

#[test]
fn heavy_nothing_is_lost_when_the_network_stalls_in_silence_under_load() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let mut gateway = gateway_of(&cloud, folder.path());
    gateway.start();
    let load = Load { messages_each: 2_000, ..Load::default() };
    let fleet = Fleet::start(load, gateway.address.clone());
    wait_until("the flow has begun", LIMIT, || cloud.recorder.arrived() > 1_000);

    let before = cloud.network.accepted();
    cloud.network.set(Weather::Stalled);
    let (logs, _) = fleet.finish(LIMIT);
    cloud.wait_attempt(before + 1, NOTICE_LIMIT);
    let queued = gateway.ledger().total("telemetry").queued;
    assert!(queued > 0, "the stall came when everything was through");

    cloud.network.set(Weather::Clear);
    let ledger = gateway.drain_and_stop("telemetry", LIMIT);
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!(verdict.acknowledged, 40_000);
    assert_eq!(ledger.total("telemetry").delivered, ledger.total("telemetry").accepted);
}

#[test]
fn an_idle_uplink_notices_a_silent_stall_by_its_keep_alive() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let mut gateway = gateway_of(&cloud, folder.path());
    gateway.start();
    gateway.wait_logged(&["connected to the cloud"]);
    let before = cloud.network.accepted();
    cloud.network.set(Weather::Stalled);
    cloud.wait_attempt(before, NOTICE_LIMIT);
    gateway.expect_running();
}
