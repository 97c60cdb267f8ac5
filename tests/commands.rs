//! Promise 9: commands from the cloud reach their target once, in time or not at all, and each
//! outcome is reported.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    Chance, Cloud, Gateway, ModbusDevice, POINTS, Subscriber, folder, holds_for, mbpoll_tcp,
    publish, wait_for, wait_until,
};

const LIMIT: Duration = Duration::from_secs(40);
/// The register of `setpoint`, which is in tenths.
const SETPOINT: u16 = 20;

/// A cloud, a gateway and a Modbus device behind it.
struct Site {
    cloud: Cloud,
    gateway: Gateway,
    device: ModbusDevice,
    port: u16,
    // Last, so that everything in it has ended when it goes.
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = folder();
        let cloud = Cloud::here(folder.path());
        let port = ModbusDevice::free_port();
        let device = ModbusDevice::tcp(folder.path(), port);
        let sections = format!(
            "[commands]\nexpires_after = \"20s\"\n\n\
             [[modbus]]\nname = \"plant\"\nhost = \"127.0.0.1:{port}\"\n\
             [[modbus.device]]\nname = \"meter\"\nunit = 1\npoll_interval = \"1s\"\n{POINTS}\n{}",
            cloud.uplink()
        );
        let mut gateway = Gateway::new(&folder.path().join("gateway"), &sections);
        gateway.start();
        let site = Self { cloud, gateway, device, port, folder };
        site.wait_until_commands_come_through();
        site
    }

    /// A command goes again and again, until one comes after the gateway has subscribed.
    fn wait_until_commands_come_through(&self) {
        wait_until("commands come through", LIMIT, || {
            self.command(
                &json!({"id": "hello", "topic": "local/hello", "payload": "x", "retain": true}),
            );
            !self.outcomes("hello").is_empty()
        });
    }

    fn command(&self, command: &Value) {
        let payload = command.to_string();
        publish(self.cloud.mosquitto.plain, "gw-test/commands/x", payload.as_bytes())
            .expect("the cloud takes a command");
    }

    fn all_outcomes(&self) -> Vec<Value> {
        let record = self.cloud.recorder.record();
        let payloads = record.messages.iter().filter(|(topic, _)| topic == "gw-test/outcomes");
        payloads.map(|(_, payload)| serde_json::from_slice(payload).expect("JSON")).collect()
    }

    fn outcomes(&self, id: &str) -> Vec<Value> {
        self.all_outcomes().into_iter().filter(|outcome| outcome["id"] == id).collect()
    }

    #[track_caller]
    fn wait_outcome(&self, id: &str) -> Value {
        wait_for(&format!("the outcome of {id}"), LIMIT, || self.outcomes(id).pop())
    }
}

fn from_now(seconds: i64) -> String {
    let moment = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    moment.format(&Rfc3339).unwrap()
}

#[test]
fn a_command_from_the_cloud_writes_a_modbus_register_and_reports_it() {
    let site = Site::new();
    site.command(&json!({"id": "c-1", "device": "meter", "point": "setpoint", "value": 42.5}));
    let outcome = site.wait_outcome("c-1");
    assert_eq!(outcome["status"], "done", "{outcome}");
    assert_eq!(outcome["readback"], 42.5, "{outcome}");
    assert_eq!(mbpoll_tcp(site.port, SETPOINT), 425);
    assert_eq!(site.device.writes(SETPOINT), [425]);
}

#[test]
fn a_command_that_cannot_be_carried_out_is_rejected_and_writes_nothing() {
    let site = Site::new();
    let bad = [
        ("r-1", json!({"id": "r-1", "device": "meter", "point": "temperature", "value": 1})),
        ("r-2", json!({"id": "r-2", "device": "meter", "point": "no-such", "value": 1})),
        ("r-3", json!({"id": "r-3", "device": "nobody", "point": "setpoint", "value": 1})),
        ("r-4", json!({"id": "r-4", "device": "meter", "point": "setpoint", "value": 1e9})),
        ("r-5", json!({"id": "r-5", "device": "meter", "point": "setpoint", "valu": 1})),
    ];
    for (_, command) in &bad {
        site.command(command);
    }
    for (id, _) in &bad {
        let outcome = site.wait_outcome(id);
        assert_eq!(outcome["status"], "rejected", "{outcome}");
        assert!(outcome["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{outcome}");
    }
    assert!(site.device.writes(SETPOINT).is_empty());
}

#[test]
fn a_command_from_the_cloud_reaches_a_local_subscriber() {
    let site = Site::new();
    let arguments = ["-t", "devices/pump/set", "-q", "1"];
    let pump = Subscriber::start(site.folder.path(), site.gateway.address.get(), &arguments);
    site.command(&json!({"id": "p-1", "topic": "devices/pump/set", "payload": {"on": true}}));
    pump.wait_line(r#"devices/pump/set {"on":true}"#);
    assert_eq!(site.wait_outcome("p-1")["status"], "delivered");
}

#[test]
fn a_stale_command_is_not_carried_out_and_that_is_reported() {
    let site = Site::new();
    let write = json!({"device": "meter", "point": "setpoint", "value": 66});
    for (id, key, when) in [("s-1", "expires_at", -30), ("s-2", "issued_at", -3_600)] {
        let mut command = write.clone();
        command["id"] = json!(id);
        command[key] = json!(from_now(when));
        site.command(&command);
    }
    for id in ["s-1", "s-2"] {
        let outcome = site.wait_outcome(id);
        // Where the machine's clock is not known to be right, the gateway does not judge by it.
        let untrusted = outcome["status"] == "rejected"
            && outcome["reason"].as_str().is_some_and(|r| r.starts_with("clock_untrusted"));
        assert!(outcome["status"] == "expired" || untrusted, "{outcome}");
    }
    assert!(site.device.writes(SETPOINT).is_empty(), "{:?}", site.device.writes(SETPOINT));
}

#[test]
fn a_command_sent_again_runs_once_even_after_a_kill() {
    let mut site = Site::new();
    let command = json!({"id": "once", "device": "meter", "point": "setpoint", "value": 7});
    site.command(&command);
    site.command(&command);
    site.wait_outcome("once");
    site.gateway.kill();
    site.gateway.start();
    site.wait_until_commands_come_through();
    site.command(&command);
    // A later command of the same device is done, so the repeated one would have been, too.
    site.command(&json!({"id": "after", "device": "meter", "point": "setpoint", "value": 8}));
    site.wait_outcome("after");
    assert_eq!(site.device.writes(SETPOINT), [70, 80]);
}

#[test]
fn no_command_is_lost_or_run_twice_when_the_gateway_is_killed_among_them() {
    let mut chance = Chance::new();
    let mut site = Site::new();
    let total = 60;
    for number in 1..=total {
        let id = format!("k-{number}");
        site.command(&json!({
            "id": id, "device": "meter", "point": "setpoint", "value": number,
            "expires_in_s": 60,
        }));
        if number % 20 == 0 {
            // Not a wait for anything: a random moment.
            std::thread::sleep(Duration::from_millis(chance.pick(0..50)));
            site.gateway.kill();
            site.gateway.start_without_waiting();
        }
    }
    site.gateway.wait_listening();
    wait_until("every command has an outcome", LIMIT, || {
        (1..=total).all(|number| !site.outcomes(&format!("k-{number}")).is_empty())
    });
    let mut times = BTreeMap::new();
    for value in site.device.writes(SETPOINT) {
        *times.entry(value / 10).or_insert(0) += 1;
    }
    for number in 1..=total {
        let outcomes = site.outcomes(&format!("k-{number}"));
        let status = outcomes[0]["status"].as_str().unwrap();
        let written = times.get(&number).copied().unwrap_or(0);
        match status {
            "done" => assert_eq!(written, 1, "k-{number}: {outcomes:?}"),
            "unknown" => assert!(written <= 1, "k-{number}: {outcomes:?}"),
            _ => panic!("k-{number} was written {written} times: {outcomes:?}"),
        }
    }
    let unknown = site.all_outcomes().iter().filter(|o| o["status"] == "unknown").count();
    assert!(unknown <= 3, "one command is under way at a time, and {unknown} are unknown");
    assert!(holds_for(Duration::from_millis(500), || {
        site.device.writes(SETPOINT).len() == times.values().sum::<usize>()
    }));
}
