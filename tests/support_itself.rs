//! The tests' own tools, tried on mosquitto in the gateway's place: a tool that cannot see a loss
//! proves nothing.

use std::time::Duration;

use crate::support::{
    Address, DeviceLog, Fleet, Load, Mosquitto, Proxy, Recorder, Weather, compare, folder,
};

const LIMIT: Duration = Duration::from_secs(30);

fn small_load() -> Load {
    Load { devices: 3, messages_each: 2_000, window: 20, payload_bytes: 64, ..Load::default() }
}

#[test]
fn the_oracle_sees_every_message_that_the_fleet_published() {
    let folder = folder();
    let mut broker = Mosquitto::with(folder.path(), "broker", "");
    broker.start();
    let recorder = Recorder::start(broker.plain);
    recorder.wait_subscribed();
    let (logs, _) = Fleet::start(small_load(), Address::new(broker.plain)).finish(LIMIT);
    recorder.flush();
    let verdict = compare(&logs, &recorder, |device| format!("sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!((verdict.acknowledged, verdict.arrived, verdict.duplicates), (6_000, 6_000, 0));
}

#[test]
fn the_oracle_sees_a_loss() {
    let folder = folder();
    let mut broker = Mosquitto::with(folder.path(), "broker", "");
    broker.start();
    let recorder = Recorder::start(broker.plain);
    recorder.wait_subscribed();
    let (mut logs, _) = Fleet::start(small_load(), Address::new(broker.plain)).finish(LIMIT);
    recorder.flush();
    logs.push(DeviceLog {
        name: "d99".to_owned(),
        acknowledged: vec![true; 3],
        ..DeviceLog::default()
    });
    let verdict = compare(&logs, &recorder, |device| format!("sensors/{device}"));
    assert_eq!(verdict.missing, ["d99 0", "d99 1", "d99 2"]);
}

#[test]
fn devices_survive_a_network_that_stalls_and_breaks() {
    let folder = folder();
    let mut broker = Mosquitto::with(folder.path(), "broker", "");
    broker.start();
    let recorder = Recorder::start(broker.plain);
    recorder.wait_subscribed();
    let network = Proxy::start(broker.plain, Weather::Clear);
    let load = Load { messages_each: 20_000, ..small_load() };
    let fleet = Fleet::start(load, Address::new(network.address));
    crate::support::wait_until("a first part", LIMIT, || fleet.acknowledged() > 3_000);
    network.set(Weather::Stalled);
    // What was in the proxy's hands may still arrive: two looks with a pause between them.
    crate::support::wait_until("standstill", LIMIT, || {
        let before = fleet.acknowledged();
        crate::support::holds_for(Duration::from_millis(200), || fleet.acknowledged() == before)
    });
    assert!(fleet.acknowledged() < fleet.total(), "the stall came too late to be one");
    network.set(Weather::Down);
    network.set(Weather::Clear);
    let (logs, _) = fleet.finish(LIMIT);
    recorder.flush();
    compare(&logs, &recorder, |device| format!("sensors/{device}")).expect_nothing_lost();
}
