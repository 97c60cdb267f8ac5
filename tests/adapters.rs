//! Sensors to cloud: what a device holds is what arrives, and nothing that it does not hold.

use std::{fs::OpenOptions, io::Write, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Cloud, Gateway, ModbusDevice, POINTS, SerialLine, folder, holds_for, mbpoll_rtu, mbpoll_tcp,
    wait_until,
};

const LIMIT: Duration = Duration::from_secs(30);

/// The points of a reading as it came to the cloud.
fn points(payload: &[u8]) -> Option<Value> {
    let reading: Value = serde_json::from_slice(payload).ok()?;
    Some(reading["points"].clone())
}

fn readings_of(cloud: &Cloud, device: &str) -> Vec<Value> {
    let topic = format!("gw-test/sensors/{device}");
    let record = cloud.recorder.record();
    let payloads = record.messages.iter().filter(|(name, _)| *name == topic);
    payloads.map(|(_, payload)| serde_json::from_slice(payload).expect("a JSON reading")).collect()
}

/// What `modbus_device.py` holds, in the units of [`POINTS`].
fn expect_every_value(points: &Value) {
    let number = |name: &str| {
        let point = &points[name];
        assert_eq!(point["quality"], "good", "{name}: {point}");
        point["value"].as_f64().unwrap_or_else(|| panic!("{name} is no number: {point}"))
    };
    let near = |name: &str, expected: f64| {
        let got = number(name);
        assert!((got - expected).abs() < 1e-9, "{name} is {got}, not {expected}");
    };
    near("temperature", -20.5);
    near("humidity", 54.6);
    near("voltage", 230.5);
    near("balance", -123_456.0);
    near("frequency", 50.0625);
    near("setpoint", 0.0);
    near("count", 777.0);
    assert_eq!(points["label"], json!({"value": "HOLDFAST", "quality": "good"}));
    assert_eq!(points["running"], json!({"value": true, "quality": "good"}));
    assert_eq!(points["alarm"], json!({"value": false, "quality": "good"}));
    assert_eq!(points["broken"], json!({"value": null, "quality": "invalid_value"}));
    assert_eq!(points["temperature"]["unit"], "°C");
}

#[test]
fn a_modbus_tcp_devices_registers_arrive_as_the_values_they_hold() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let port = ModbusDevice::free_port();
    let _device = ModbusDevice::tcp(folder.path(), port);
    let section = format!(
        "[[modbus]]\nname = \"plant\"\nhost = \"127.0.0.1:{port}\"\n\
         [[modbus.device]]\nname = \"meter\"\nunit = 1\npoll_interval = \"200ms\"\n{POINTS}\n{}",
        cloud.uplink()
    );
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &section);
    gateway.start();
    let got = cloud.recorder.wait_message("gw-test/sensors/meter", LIMIT, points);
    expect_every_value(&got);
    // A third party sees the same register, before scale.
    assert_eq!(mbpoll_tcp(port, 1), 546);
    wait_until("further readings", LIMIT, || readings_of(&cloud, "meter").len() > 5);
    for (index, reading) in readings_of(&cloud, "meter").iter().enumerate() {
        assert_eq!((&reading["device"], &reading["seq"]), (&json!("meter"), &json!(index)));
    }
}

#[test]
fn a_dead_unit_on_a_serial_bus_neither_stalls_nor_spoils_the_others() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let line = SerialLine::new(folder.path());
    let _device = ModbusDevice::rtu(folder.path(), &line.sensor, 19_200);
    assert_eq!(mbpoll_rtu(&line.gateway, 19_200, 1), 546);
    let section = format!(
        "[[modbus]]\nname = \"bus\"\nport = \"{}\"\nbaud = 19200\n\
         [[modbus.device]]\nname = \"dead\"\nunit = 9\npoll_interval = \"1s\"\n{POINTS}\n\
         [[modbus.device]]\nname = \"alive\"\nunit = 1\npoll_interval = \"1s\"\n{POINTS}\n{}",
        line.gateway.display(),
        cloud.uplink()
    );
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &section);
    gateway.start();
    wait_until("ten readings of the live unit", LIMIT, || readings_of(&cloud, "alive").len() >= 10);
    for reading in readings_of(&cloud, "alive") {
        expect_every_value(&reading["points"]);
    }
    let dead = readings_of(&cloud, "dead");
    assert!(!dead.is_empty(), "nothing is reported of the dead unit");
    for point in dead.iter().flat_map(|reading| reading["points"].as_object().unwrap().values()) {
        assert_eq!(point["value"], Value::Null, "a value of a unit that does not exist: {point}");
        let quality = point["quality"].as_str().unwrap();
        assert!(["timeout", "offline"].contains(&quality), "{point}");
    }
}

fn send(line: &Path, text: &str) {
    let mut port = OpenOptions::new().write(true).open(line).unwrap();
    port.write_all(text.as_bytes()).unwrap();
}

#[test]
fn an_nmea_sentence_arrives_as_its_fields_and_a_damaged_one_does_not() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let line = SerialLine::new(folder.path());
    let section = format!(
        r#"
[[serial]]
name = "anemometer"
port = "{}"
baud = 4800
parser = {{ kind = "nmea" }}
point = [
    {{ name = "direction", sentence = "WIMWV", field = 1, unit = "°" }},
    {{ name = "speed", sentence = "WIMWV", field = 3, unit = "kn" }},
]
{}"#,
        line.gateway.display(),
        cloud.uplink()
    );
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &section);
    gateway.start();
    // The port is opened at some moment after the start; what is sent before may be lost.
    let topic = "gw-test/sensors/anemometer";
    wait_until("a sentence has come through", LIMIT, || {
        send(&line.sensor, "$WIMWV,084.0,R,10.4,N,A*1A\r\n");
        cloud.recorder.record().messages.iter().any(|(name, _)| name == topic)
    });
    let got = cloud.recorder.wait_message(topic, LIMIT, points);
    assert_eq!(got["direction"], json!({"value": 84.0, "unit": "°", "quality": "good"}));
    assert_eq!(got["speed"], json!({"value": 10.4, "unit": "kn", "quality": "good"}));

    let speeds = |wanted: f64| {
        let readings = readings_of(&cloud, "anemometer");
        readings.iter().filter(|r| r["points"]["speed"]["value"] == json!(wanted)).count()
    };
    send(&line.sensor, "$WIMWV,084.0,R,99.9,N,A*1A\r\n$WIMWV,084.0,R,88.8,N,A\r\n");
    send(&line.sensor, "$WIMWV,084.0,R,11.4,N,A*1B\r\n");
    wait_until("the sound sentence after the damaged ones", LIMIT, || speeds(11.4) == 1);
    assert!(
        holds_for(Duration::from_millis(500), || speeds(99.9) == 0 && speeds(88.8) == 0),
        "a sentence with a wrong or missing checksum was believed"
    );
}

#[test]
fn readings_wait_on_disk_through_an_outage_and_a_kill() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let port = ModbusDevice::free_port();
    let _device = ModbusDevice::tcp(folder.path(), port);
    let section = format!(
        "[[modbus]]\nname = \"plant\"\nhost = \"127.0.0.1:{port}\"\n\
         [[modbus.device]]\nname = \"meter\"\nunit = 1\npoll_interval = \"50ms\"\n{POINTS}\n{}",
        cloud.uplink()
    );
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &section);
    gateway.start();
    let queued = |gateway: &Gateway| gateway.ledger().total("telemetry").queued;
    wait_until("some readings are queued", LIMIT, || queued(&gateway) >= 10);
    gateway.kill();
    let held = queued(&gateway);
    gateway.start();
    wait_until("more readings are queued", LIMIT, || queued(&gateway) >= held + 5);
    cloud.comes_back();
    wait_until("all readings are at the cloud", LIMIT, || {
        readings_of(&cloud, "meter").len() as u64 > held + 5
    });
    for reading in readings_of(&cloud, "meter") {
        expect_every_value(&reading["points"]);
    }
    let ledger = gateway.ledger();
    ledger.expect_exact();
    let sources = &ledger.streams.iter().find(|page| page.stream == "telemetry").unwrap().sources;
    let names: Vec<_> = sources.iter().map(|line| line.source.as_str()).collect();
    assert_eq!(names, ["modbus:meter"]);
}
