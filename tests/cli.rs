//! The command line: every problem at once, each with file, key and remedy, and exit codes.

use std::{
    fs::File,
    process::{Child, Command, Output},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Fleet, Gateway, Load, folder, holdfast, wait_for, wait_until};

fn printed(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn check_reports_every_problem_at_once_with_its_key() {
    let folder = folder();
    let config = format!(
        r#"
[gateway]
id = "gw-01"
data_dir = "{}"

[[listener]]
bind = "127.0.0.1:1883"

[[listener]]
bind = "127.0.0.1:1883"

[[listener]]
bind = "0.0.0.0:1884"

[uplink]
url = "mqtts://cloud.example:8883"
ca = "no-such-ca.crt"
cert = "no-such.crt"
key = "no-such.key"

[[route]]
from = "sensors/#"
stream = "telemetri"

[[route]]
from = "sensors/#/bad"
stream = "telemetry"
"#,
        folder.path().join("data").display()
    );
    let gateway = Gateway::with_config(folder.path(), &config);
    let output = gateway.command(&["check"]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    for expected in [
        "holdfast.toml",
        "1883",
        "0.0.0.0:1884",
        "no-such-ca.crt",
        "no-such.crt",
        "no-such.key",
        "telemetri",
        "telemetry",
        "sensors/#/bad",
    ] {
        assert!(text.contains(expected), "nothing is said of {expected}:\n{text}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let folder = folder();
    let gateway = Gateway::new(folder.path(), "[limits]\nconnection_max = 5\n");
    let output = gateway.command(&["check"]);
    let text = printed(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("connection_max") && text.contains("connections_max"), "{text}");
}

#[test]
fn a_good_configuration_passes_and_nothing_is_started() {
    let folder = folder();
    let gateway = Gateway::new(folder.path(), "");
    let output = gateway.command(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(!gateway.data().join("listeners.json").exists());
}

#[test]
fn a_gateway_with_a_bad_configuration_does_not_start() {
    let folder = folder();
    let gateway =
        Gateway::new(folder.path(), "[[route]]\nfrom = \"#/x\"\nstream = \"telemetry\"\n");
    let output = gateway.command(&["run"]);
    assert_eq!(output.status.code(), Some(78), "{}", printed(&output));
    assert!(printed(&output).contains("#/x"), "{}", printed(&output));
}

#[test]
fn the_ledger_of_a_dead_gateway_can_be_read_and_balances() {
    let folder = folder();
    let mut gateway = Gateway::new(folder.path(), "");
    gateway.start();
    let load = Load { devices: 2, messages_each: 25, ..Default::default() };
    let fleet = Fleet::start(load, gateway.address.clone());
    fleet.finish(Duration::from_secs(20));
    gateway.kill();
    let ledger = gateway.ledger();
    ledger.expect_exact();
    assert_eq!(ledger.total("telemetry").queued, 50);
    let plain = gateway.command(&["ledger"]);
    assert!(plain.status.success(), "{}", printed(&plain));
    let text = printed(&plain);
    assert!(text.contains("telemetry") && text.contains("d00") && text.contains("50"), "{text}");
}

/// Killed when the test ends, however it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, as it should.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    const LIMIT: Duration = Duration::from_secs(20);
    let folder = folder();
    let gateway = Gateway::new(folder.path(), "");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(holdfast());
    command.arg("run").arg("--config").arg(gateway.config()).stderr(full);
    let mut child = Running(command.spawn().unwrap());
    wait_until("it listens", LIMIT, || {
        assert_eq!(child.0.try_wait().unwrap(), None, "it ended");
        gateway.data().join("listeners.json").exists()
    });
    kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
    let status = wait_for("it stops", LIMIT, || child.0.try_wait().unwrap());
    assert!(status.success(), "{status}");
}
