//! A Modbus device of pymodbus, and mbpoll to look at it independently of the gateway.

use std::{path::Path, process::Command, time::Duration};

use super::{
    process::{Process, free_port},
    python::{expect_success, script},
    wait::wait_until,
};

const START_LIMIT: Duration = Duration::from_secs(20);

/// The points of the device, for a `[[modbus.device]]`; what they hold is in `modbus_device.py`.
pub const POINTS: &str = r#"
point = [
    { name = "temperature", address = 0, type = "int16", scale = 0.1, unit = "°C" },
    { name = "humidity", address = 1, type = "uint16", scale = 0.1, unit = "%" },
    { name = "voltage", address = 2, type = "float32", unit = "V" },
    { name = "balance", address = 4, type = "int32" },
    { name = "frequency", address = 6, type = "float64", unit = "Hz" },
    { name = "broken", address = 10, type = "uint16", invalid = [0xFFFF] },
    { name = "setpoint", address = 20, scale = 0.1, writable = true, min = 0, max = 6553.5 },
    { name = "label", address = 30, type = "string", length = 8 },
    { name = "count", table = "input", address = 0 },
    { name = "running", table = "coil", address = 0 },
    { name = "alarm", table = "discrete", address = 0 },
]
"#;

/// A running device.
#[derive(Debug)]
pub struct ModbusDevice {
    process: Process,
}

impl ModbusDevice {
    /// Unit 1 over TCP on this port.
    pub fn tcp(folder: &Path, port: u16) -> Self {
        Self::start(&folder.join("modbus-tcp.log"), &["--tcp", &port.to_string()])
    }

    /// A port for [`ModbusDevice::tcp`].
    pub fn free_port() -> u16 {
        free_port()
    }

    /// Unit 1 on a serial line; all other units are silent.
    pub fn rtu(folder: &Path, line: &Path, baud: u32) -> Self {
        let line = line.to_str().expect("a path that is text");
        Self::start(
            &folder.join("modbus-rtu.log"),
            &["--serial", line, "--baud", &baud.to_string()],
        )
    }

    fn start(log: &Path, arguments: &[&str]) -> Self {
        let mut command = script("modbus_device.py");
        command.args(arguments);
        let mut process = Process::spawn("pymodbus", &mut command, log);
        wait_until("the Modbus device is ready", START_LIMIT, || {
            process.expect_running();
            process.output().lines().any(|line| line == "ready")
        });
        Self { process }
    }

    /// The values written to this register so far.
    pub fn writes(&self, address: u16) -> Vec<u16> {
        let output = self.process.output();
        let marker = format!(" address={address} values=[");
        let lines = output.lines().filter(|line| line.starts_with("write "));
        let values = lines.filter_map(|line| line.split(&marker).nth(1)?.strip_suffix(']'));
        values.filter_map(|value| value.parse().ok()).collect()
    }
}

/// A holding register of unit 1 as mbpoll reads it over TCP.
pub fn mbpoll_tcp(port: u16, address: u16) -> u16 {
    let mut command = Command::new("mbpoll");
    command.args(["-m", "tcp", "-p", &port.to_string(), "-a", "1", "-t", "4", "-1"]);
    // mbpoll counts registers from 1.
    command.args(["-r", &(address + 1).to_string(), "-c", "1", "127.0.0.1"]);
    register_in(&expect_success(command))
}

/// A holding register of unit 1 as mbpoll reads it on a serial line.
pub fn mbpoll_rtu(line: &Path, baud: u32, address: u16) -> u16 {
    let mut command = Command::new("mbpoll");
    command.args(["-m", "rtu", "-b", &baud.to_string(), "-P", "none", "-a", "1", "-t", "4", "-1"]);
    command.args(["-r", &(address + 1).to_string(), "-c", "1"]).arg(line);
    register_in(&expect_success(command))
}

fn register_in(printed: &str) -> u16 {
    let line = printed.lines().find(|line| line.starts_with('[')).expect("a register");
    let text = line.split(':').nth(1).and_then(|rest| rest.split_whitespace().next());
    text.and_then(|text| text.parse().ok()).expect("a number")
}
