//! One bus or TCP connection: `[[modbus]]`.

use std::time::Duration;

use serde::Deserialize;

use holdfast_adapter_api::Problem;

use super::{Device, compile};

/// The most registers one read may ask for (Modbus Application Protocol 1.1b3, 6.3).
pub(crate) const REGISTERS_PER_READ: u16 = 125;

/// One serial line, or one TCP connection to a device or gateway.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// The adapter's name, unique on this gateway.
    pub name: String,
    /// The serial port: `/dev/ttyUSB0`. Either this or `host`.
    pub port: Option<String>,
    /// The TCP address: `192.168.1.20:502`. Either this or `port`.
    pub host: Option<String>,
    /// Bits per second on the serial line.
    #[serde(default = "baud")]
    pub baud: u32,
    /// Parity on the serial line. `none` (with one stop bit) is how nearly all sensors leave the
    /// factory; the Modbus standard's own default is `even`.
    #[serde(default)]
    pub parity: Parity,
    /// Data bits per character; RTU needs 8, some converters are set to 7 by mistake.
    #[serde(default = "data_bits")]
    pub data_bits: u8,
    /// Stop bits per character: 1 or 2.
    #[serde(default = "stop_bits")]
    pub stop_bits: u8,
    /// How long a device may take to begin its answer, beyond the time on the wire.
    #[serde(default = "response_timeout", with = "humantime_serde")]
    pub response_timeout: Duration,
    /// How long a TCP connection may take to come about.
    #[serde(default = "connect_timeout", with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// After a timeout a serial line must be silent for this long before it is used again.
    #[serde(default = "late_grace", with = "humantime_serde")]
    pub late_grace: Duration,
    /// How often a read that failed is tried again at once, if the device was well before.
    #[serde(default = "retries")]
    pub retries: u8,
    /// After this many failed polls in a row a device is given up and only probed.
    #[serde(default = "offline_after")]
    pub offline_after: u32,
    /// The first pause between probes of a device that is given up; it doubles up to tenfold.
    #[serde(default = "probe_interval", with = "humantime_serde")]
    pub probe_interval: Duration,
    /// Whether the RS-485 converter returns what we send.
    #[serde(default)]
    pub echo: bool,
    /// The most registers asked for in one read, 1 to 125. Small devices allow fewer.
    #[serde(default = "max_registers")]
    pub max_registers: u16,
    /// Two points are read together if at most this many unused registers lie between them.
    #[serde(default = "gap_max")]
    pub gap_max: u16,
    /// Whether one register or coil is written with function 6 or 5; otherwise with 16 or 15,
    /// which is all that some devices know.
    #[serde(default = "write_single")]
    pub write_single: bool,
    /// The devices behind it.
    #[serde(default)]
    pub device: Vec<Device>,
}

/// The parity bit of a serial character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// No parity bit.
    #[default]
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

impl Config {
    /// Everything that is wrong with this configuration; empty if it can run.
    pub fn problems(&self) -> Vec<Problem> {
        compile(self).err().unwrap_or_default()
    }
}

fn baud() -> u32 {
    9_600
}

fn data_bits() -> u8 {
    8
}

fn stop_bits() -> u8 {
    1
}

fn response_timeout() -> Duration {
    Duration::from_millis(300)
}

fn connect_timeout() -> Duration {
    Duration::from_secs(3)
}

fn late_grace() -> Duration {
    Duration::from_millis(100)
}

fn retries() -> u8 {
    1
}

fn offline_after() -> u32 {
    3
}

fn probe_interval() -> Duration {
    Duration::from_secs(30)
}

fn max_registers() -> u16 {
    REGISTERS_PER_READ
}

fn gap_max() -> u16 {
    8
}

fn write_single() -> bool {
    true
}
