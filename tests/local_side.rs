//! Promise 10: nearby devices talk whatever else is missing. The devices are not ours:
//! mosquitto's clients and paho-mqtt.

use std::time::Duration;

use crate::support::{
    Cloud, Gateway, Subscriber, expect_success, folder, holds_for, mosquitto_pub, script,
    wait_until,
};

const LIMIT: Duration = Duration::from_secs(30);

fn paho_is_served(version: &str) {
    let folder = folder();
    let mut gateway = Gateway::new(folder.path(), "");
    gateway.start();
    let mut command = script("paho_device.py");
    command.arg(gateway.address.get().port().to_string()).arg(version);
    let printed = expect_success(command);
    assert!(printed.ends_with("all met\n"), "{printed}");
    gateway.expect_running();
    gateway.stop();
}

#[test]
fn paho_with_mqtt_3_1_1_finds_all_it_expects_of_a_broker() {
    paho_is_served("3");
}

#[test]
fn paho_with_mqtt_5_finds_all_it_expects_of_a_broker() {
    paho_is_served("5");
}

#[test]
fn mosquittos_clients_talk_through_a_gateway_without_an_uplink() {
    let folder = folder();
    let mut gateway = Gateway::new(folder.path(), "");
    gateway.start();
    let address = gateway.address.get();
    for version in ["mqttv311", "mqttv5"] {
        let topic = format!("local/{version}");
        let arguments = ["-V", version, "-t", &topic, "-q", "2"];
        let subscriber = Subscriber::start(folder.path(), address, &arguments);
        for qos in ["0", "1", "2"] {
            let payload = format!("at QoS {qos}");
            mosquitto_pub(address, &["-V", version, "-t", &topic, "-m", &payload, "-q", qos]);
            subscriber.wait_line(&format!("{topic} {payload}"));
        }
        assert_eq!(subscriber.lines().len(), 3, "{:?}", subscriber.lines());
    }
}

#[test]
fn local_subscribers_get_what_is_routed_up_while_the_cloud_is_away() {
    let folder = folder();
    let cloud = Cloud::away(folder.path());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &cloud.uplink());
    gateway.start();
    let address = gateway.address.get();
    let subscriber = Subscriber::start(folder.path(), address, &["-t", "sensors/+", "-q", "1"]);
    for qos in ["1", "2"] {
        mosquitto_pub(address, &["-t", "sensors/a", "-m", qos, "-q", qos, "-i", "probe"]);
        subscriber.wait_line(&format!("sensors/a {qos}"));
    }
    mosquitto_pub(address, &["-t", "elsewhere/a", "-m", "not routed", "-q", "1"]);
    let ledger = gateway.ledger();
    assert_eq!(ledger.total("telemetry").queued, 2, "{ledger:?}");
    assert_eq!(ledger.streams.iter().find(|p| p.stream == "telemetry").unwrap().sources.len(), 1);
}

#[test]
fn a_message_of_each_qos_reaches_the_cloud_once() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &cloud.uplink());
    gateway.start();
    let address = gateway.address.get();
    for qos in ["0", "1", "2"] {
        mosquitto_pub(address, &["-t", "sensors/a", "-m", qos, "-q", qos]);
    }
    let arrived = || {
        let record = cloud.recorder.record();
        let mut payloads: Vec<_> = record.messages.iter().map(|(_, p)| p.clone()).collect();
        payloads.sort();
        payloads
    };
    wait_until("all three are at the cloud", LIMIT, || arrived().len() >= 3);
    assert!(
        holds_for(Duration::from_millis(300), || arrived() == [b"0", b"1", b"2"]),
        "{:?}",
        arrived()
    );
}
