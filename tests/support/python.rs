//! Peers written in Python: pymodbus as a Modbus device, paho-mqtt as an MQTT device.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The interpreter of the environment that `tests/run` makes.
pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("HOLDFAST_TEST_PYTHON") {
        return python.into();
    }
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-python/bin/python");
    if made.exists() { made } else { "python3".into() }
}

/// A script beside this file.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(name));
    command
}

/// Runs a program; panics with what it printed unless it succeeds.
#[track_caller]
pub fn expect_success(mut command: Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let printed = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{command:?} ended with {status}\n{printed}{}",
        String::from_utf8_lossy(&stderr)
    );
    printed
}
