//! Promise 1 to 4: what was acknowledged reaches the cloud, in order, and is accounted for,
//! through an outage and SIGKILL.

use std::time::Duration;

use crate::support::{Chance, Cloud, Counts, Fleet, Gateway, Load, compare, folder, wait_until};

const OUTAGE_LIMIT: Duration = Duration::from_mins(4);
const DRAIN_LIMIT: Duration = Duration::from_mins(3);
const KILLS: usize = 10;

/// Kills the gateway and starts it again; now and then once more while it starts.
fn kill_and_restart(gateway: &mut Gateway, chance: &mut Chance) {
    gateway.kill();
    if chance.pick(0..3) == 0 {
        gateway.start_without_waiting();
        // Not a wait for anything: a random moment of its start.
        std::thread::sleep(Duration::from_millis(chance.pick(0..60)));
        gateway.kill();
    }
    gateway.start();
}

/// All of it went up. What a kill tore while it was written no device was told of: it was never
/// accepted, and nothing is damaged.
fn expect_delivered(total: &Counts, acknowledged: u64) {
    assert_eq!((total.accepted, total.damaged), (total.delivered, 0), "{total:?}");
    assert!(total.accepted >= acknowledged, "{acknowledged}: {total:?}");
}

#[test]
fn heavy_every_acknowledged_message_survives_ten_kills_in_an_outage() {
    let mut chance = Chance::new();
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &cloud.uplink());
    gateway.start();
    let fleet = Fleet::start(Load::default(), gateway.address.clone());
    assert_eq!(fleet.total(), 100_000);

    for moment in chance.pick_sorted(KILLS, &(1..fleet.total())) {
        wait_until("the moment of the next kill", OUTAGE_LIMIT, || fleet.acknowledged() >= moment);
        kill_and_restart(&mut gateway, &mut chance);
    }
    let (logs, _) = fleet.finish(OUTAGE_LIMIT);
    assert!(logs.iter().all(|log| log.connections > 1), "the kills did not reach every device");
    assert_eq!(cloud.recorder.arrived(), 0, "the cloud was not away");

    cloud.comes_back();
    let ledger = gateway.drain_and_stop("telemetry", DRAIN_LIMIT);
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!(verdict.acknowledged, 100_000);

    let total = ledger.total("telemetry");
    assert!(total.accepted >= verdict.acknowledged, "{total:?}");
    expect_delivered(&total, verdict.acknowledged);
    // Each record reached the cloud once or more: none is counted that did not go.
    assert!(cloud.recorder.arrived() >= total.delivered, "{total:?}");
}

#[test]
fn heavy_every_acknowledged_message_survives_kills_while_the_backlog_drains() {
    let mut chance = Chance::new();
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &cloud.uplink());
    gateway.start();
    let load = Load { messages_each: 2_000, ..Load::default() };
    let fleet = Fleet::start(load, gateway.address.clone());
    wait_until("half of the load", OUTAGE_LIMIT, || fleet.acknowledged() > fleet.total() / 2);

    cloud.comes_back();
    let before = cloud.recorder.arrived();
    assert_eq!(before, 0);
    for moment in chance.pick_sorted(5, &(1..fleet.total() / 2)) {
        wait_until("the moment of the next kill", DRAIN_LIMIT, || {
            cloud.recorder.arrived() >= moment
        });
        kill_and_restart(&mut gateway, &mut chance);
    }
    let (logs, _) = fleet.finish(OUTAGE_LIMIT);
    let ledger = gateway.drain_and_stop("telemetry", DRAIN_LIMIT);
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!(verdict.acknowledged, 40_000);
    let total = ledger.total("telemetry");
    expect_delivered(&total, verdict.acknowledged);
    assert!(cloud.recorder.arrived() >= total.delivered, "{total:?}");
}
