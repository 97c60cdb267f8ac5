//! One device on a bus: `[[modbus.device]]`.

use std::time::Duration;

use serde::Deserialize;

use super::Point;
use crate::value::ByteOrder;

/// One device: a unit on a serial line or behind a TCP connection.
#[derive(Debug, Clone, Deserialize)]
pub struct Device {
    /// The device's name, unique on this gateway.
    pub name: String,
    /// Its unit number (slave address): 1 to 247 on a serial line, 0 to 255 over TCP.
    pub unit: u8,
    /// How often it is read.
    #[serde(default = "poll_interval", with = "humantime_serde")]
    pub poll_interval: Duration,
    /// The local topic of its readings, with `{device}` and `{adapter}`.
    #[serde(default = "topic")]
    pub topic: String,
    /// The number that the device's manual gives to its first register: 0 or 1.
    #[serde(default)]
    pub address_base: u8,
    /// The byte order of points that give none.
    #[serde(default)]
    pub byte_order: ByteOrder,
    /// What is read.
    #[serde(default)]
    pub point: Vec<Point>,
}

fn poll_interval() -> Duration {
    Duration::from_secs(10)
}

fn topic() -> String {
    "sensors/{device}".to_owned()
}
