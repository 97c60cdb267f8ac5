//! A cloud that restarts and remembers nothing: no session, no message in flight.

use std::time::Duration;

use crate::support::{Cloud, Fleet, Gateway, Load, compare, folder, wait_until};

const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn heavy_nothing_is_lost_when_the_cloud_restarts_without_its_session() {
    let folder = folder();
    let mut cloud = Cloud::here(folder.path());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &cloud.uplink());
    gateway.start();
    let load = Load { messages_each: 3_000, ..Load::default() };
    let fleet = Fleet::start(load, gateway.address.clone());
    for part in 1..=3 {
        let arrived = fleet.total() * part / 10;
        wait_until("the next part has arrived", LIMIT, || cloud.recorder.arrived() > arrived);
        cloud.dies();
        cloud.comes_back();
    }
    let (logs, _) = fleet.finish(LIMIT);
    let ledger = gateway.drain_and_stop("telemetry", LIMIT);
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!(verdict.acknowledged, 60_000);
    let total = ledger.total("telemetry");
    assert_eq!(total.delivered, total.accepted, "{total:?}");
}

#[test]
fn a_backlog_moves_without_a_new_publish() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &cloud.uplink());
    gateway.start();
    let load = Load { devices: 1, messages_each: 100, ..Load::default() };
    let (logs, _) = Fleet::start(load, gateway.address.clone()).finish(LIMIT);
    cloud.comes_back();
    gateway.drain_and_stop("telemetry", LIMIT);
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!((verdict.arrived, verdict.duplicates), (100, 0));
}
