//! The tests' own tools, tried on mosquitto in the gateway's place: a tool that cannot see a loss
//! proves nothing.

use std::time::Duration;

use crate::support::{
    Address, Authority, Cloud, DeviceLog, Fleet, Identity, Load, ModbusDevice, Mosquitto, Proxy,
    Recorder, SerialLine, Subscriber, Weather, compare, expect_success, folder, holds_for,
    mbpoll_rtu, mbpoll_tcp, mosquitto_pub, mosquitto_pub_succeeds, wait_until,
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
    wait_until("a first part", LIMIT, || fleet.acknowledged() > 3_000);
    network.set(Weather::Stalled);
    // What was in the proxy's hands may still arrive: two looks with a pause between them.
    wait_until("standstill", LIMIT, || {
        let before = fleet.acknowledged();
        holds_for(Duration::from_millis(200), || fleet.acknowledged() == before)
    });
    assert!(fleet.acknowledged() < fleet.total(), "the stall came too late to be one");
    network.set(Weather::Down);
    network.set(Weather::Clear);
    let (logs, _) = fleet.finish(LIMIT);
    recorder.flush();
    compare(&logs, &recorder, |device| format!("sensors/{device}")).expect_nothing_lost();
}

fn to_the_cloud(cloud: &Cloud, identity: &Identity) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> =
        ["-t", "up", "-m", "message", "-q", "1", "--cafile"].map(Into::into).to_vec();
    arguments.push(cloud.authority.cert.clone().into());
    arguments.extend(["--cert".into(), identity.cert.clone().into()]);
    arguments.extend(["--key".into(), identity.key.clone().into()]);
    arguments
}

#[test]
fn the_cloud_takes_its_own_clients_refuses_strangers_and_loses_nothing_when_it_dies() {
    let folder = folder();
    let mut cloud = Cloud::here(folder.path());
    let own = to_the_cloud(&cloud, &cloud.authority.client("gw-test"));
    let stranger = Authority::new(folder.path(), "stranger").client("gw-unknown");
    let strange = to_the_cloud(&cloud, &stranger);
    mosquitto_pub(cloud.network.address, &own);
    assert!(!mosquitto_pub_succeeds(cloud.network.address, &strange));
    cloud.dies();
    assert!(!mosquitto_pub_succeeds(cloud.network.address, &own));
    cloud.comes_back();
    mosquitto_pub(cloud.network.address, &own);
    cloud.recorder.flush();
    let message = || ("up".to_owned(), b"message".to_vec());
    assert_eq!(cloud.recorder.record().messages, [message(), message()]);
}

#[test]
fn the_modbus_device_can_be_read_and_reports_each_write() {
    let folder = folder();
    let port = ModbusDevice::free_port();
    let device = ModbusDevice::tcp(folder.path(), port);
    assert_eq!(mbpoll_tcp(port, 1), 546);
    assert!(device.writes(20).is_empty());
    let mut command = std::process::Command::new("mbpoll");
    command.args(["-m", "tcp", "-p", &port.to_string(), "-a", "1", "-t", "4", "-r", "21"]);
    command.args(["127.0.0.1", "77"]);
    expect_success(command);
    wait_until("the write is reported", LIMIT, || device.writes(20) == [77]);
    assert_eq!(mbpoll_tcp(port, 20), 77);

    let line = SerialLine::new(folder.path());
    let _on_the_line = ModbusDevice::rtu(folder.path(), &line.sensor, 19_200);
    assert_eq!(mbpoll_rtu(&line.gateway, 19_200, 1), 546);
}

#[test]
fn a_subscriber_sees_what_mosquitto_pub_publishes() {
    let folder = folder();
    let mut broker = Mosquitto::with(folder.path(), "broker", "");
    broker.start();
    let subscriber = Subscriber::start(folder.path(), broker.plain, &["-t", "a/#", "-q", "1"]);
    mosquitto_pub(broker.plain, &["-t", "a/b", "-m", "hello there", "-q", "1"]);
    subscriber.wait_line("a/b hello there");
    assert_eq!(subscriber.lines().len(), 1);
}
