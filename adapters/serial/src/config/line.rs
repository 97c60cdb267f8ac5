//! `[[serial]]`

use std::time::Duration;

use serde::Deserialize;

use super::{Frame, Parser, PointConfig};

/// One serial line that is not Modbus: `[[serial]]`.
///
/// Texts that go to or come from the line (`init`, `poll_command`, `write`, `frame.start`,
/// `frame.end`, `frame.sync`) may hold `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` for a byte.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// The adapter's name, unique on this gateway.
    pub name: String,
    /// The port's path; a name under `/dev/serial/by-id` outlives a change of sockets.
    pub port: String,
    /// Bits per second.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// The parity bit.
    #[serde(default)]
    pub parity: Parity,
    /// Data bits per character, 5 to 8.
    #[serde(default = "default_data_bits")]
    pub data_bits: u8,
    /// Stop bits, 1 or 2.
    #[serde(default = "default_stop_bits")]
    pub stop_bits: u8,
    /// Flow control.
    #[serde(default)]
    pub flow_control: FlowControl,
    /// The device's name in readings and commands; the adapter's name if not given.
    pub device: Option<String>,
    /// The topic of the readings; `{device}` and `{adapter}` stand for the names.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// How the bytes fall into frames.
    #[serde(default)]
    pub frame: Frame,
    /// How a frame falls into fields.
    pub parser: Parser,
    /// Sent one after the other whenever the port was opened.
    #[serde(default)]
    pub init: Vec<String>,
    /// Asks the device for a reading; without it the device is only listened to.
    pub poll_command: Option<String>,
    /// How often the device is asked.
    #[serde(default = "default_poll_interval", with = "humantime_serde")]
    pub poll_interval: Duration,
    /// How long the device may take to answer a poll or to confirm a write.
    #[serde(default = "default_answer_timeout", with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// If given, one reading goes out per interval, with the latest value of each point that
    /// came in it; else one reading per frame.
    #[serde(default, with = "humantime_serde")]
    pub interval: Option<Duration>,
    /// If given, a silence as long as this is reported once, as points of quality `timeout`.
    #[serde(default, with = "humantime_serde")]
    pub silent_after: Option<Duration>,
    /// The points, in the order they have in a reading.
    #[serde(default)]
    pub point: Vec<PointConfig>,
}

/// The parity bit of a character.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// No parity bit.
    #[default]
    None,
    /// Even parity.
    Even,
    /// Odd parity.
    Odd,
}

/// The flow control of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowControl {
    /// None.
    #[default]
    None,
    /// XON and XOFF characters.
    Software,
    /// The RTS and CTS lines.
    Hardware,
}

impl Config {
    /// The device's name: the one given, else the adapter's.
    pub fn device_name(&self) -> &str {
        self.device.as_deref().unwrap_or(&self.name)
    }
}

fn default_baud() -> u32 {
    9600
}

fn default_data_bits() -> u8 {
    8
}

fn default_stop_bits() -> u8 {
    1
}

fn default_topic() -> String {
    "sensors/{device}".to_owned()
}

fn default_poll_interval() -> Duration {
    Duration::from_secs(10)
}

fn default_answer_timeout() -> Duration {
    Duration::from_secs(2)
}
