//! `[[serial]]`: the schema of one serial line.

use std::time::Duration;

use holdfast_adapter_api::Value;
use serde::Deserialize;

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

/// How the bytes of a line fall into frames: `frame`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// What marks a frame.
    pub kind: FrameKind,
    /// The longest frame; a longer one is counted and skipped.
    pub bytes_max: usize,
    /// `delimiter`: what a frame starts with, if anything.
    pub start: Option<String>,
    /// `delimiter`: what a frame ends with.
    pub end: Option<String>,
    /// `fixed`, `length_prefixed`: what a frame starts with, if anything. Part of the frame.
    pub sync: Option<String>,
    /// `fixed`: the length of a frame in bytes, with `sync` and check.
    pub length: Option<usize>,
    /// `length_prefixed`: where in the frame the length stands, in bytes from its start.
    pub length_at: Option<usize>,
    /// `length_prefixed`: the width of the length: 1, 2 or 4 bytes.
    pub length_width: usize,
    /// `length_prefixed`: the order of the length's bytes.
    pub length_order: ByteOrder,
    /// `length_prefixed`: what to add to the length to get that of the whole frame.
    pub length_add: i64,
    /// What stands at the end of a frame to prove it, if anything.
    pub check: Check,
    /// `idle_gap`: the silence that ends a frame. Elsewhere, if given: the silence after which
    /// an unfinished frame is given up and counted.
    #[serde(with = "humantime_serde")]
    pub gap: Option<Duration>,
}

/// What marks a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// It ends with a carriage return, a line feed or both; empty lines do not count.
    #[default]
    Line,
    /// It starts and ends with given bytes.
    Delimiter,
    /// It has a fixed length.
    Fixed,
    /// Its length stands in it.
    LengthPrefixed,
    /// Silence ends it.
    IdleGap,
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByteOrder {
    /// Most significant byte first.
    #[default]
    Big,
    /// Least significant byte first.
    Little,
}

/// What proves a frame; it stands in its last bytes and covers all before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Nothing.
    #[default]
    None,
    /// One byte: the sum, modulo 256.
    Sum8,
    /// One byte: the exclusive or.
    Xor8,
    /// Two bytes, high byte first: the sum, modulo 65536.
    Sum16,
    /// Two bytes, low byte first: the CRC of Modbus RTU.
    Crc16Modbus,
}

/// How a frame falls into fields: `parser`.
#[derive(Debug, Clone, Deserialize)]
pub struct Parser {
    /// The format.
    pub kind: ParserKind,
    /// `regex`: the expression, with a named group per value: `T:(?<t>[-0-9.]+)`.
    pub pattern: Option<String>,
    /// `csv`: what separates the columns, one character; a blank stands for any run of blanks.
    pub separator: Option<String>,
    /// `csv`: how many columns a whole line has; a line with more or fewer is garbled.
    pub columns: Option<usize>,
}

/// The format of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParserKind {
    /// NMEA 0183, with its checksum, which must be there and right.
    Nmea,
    /// Text in which a regular expression finds the values.
    Regex,
    /// Text in columns.
    Csv,
    /// A JSON object.
    Json,
    /// Numbers at fixed places.
    Binary,
    /// The frame as a whole is the one value: text, or hexadecimal digits where it is none.
    Raw,
}

/// One value of the device: `[[serial.point]]`.
#[derive(Debug, Clone, Deserialize)]
pub struct PointConfig {
    /// The point's name in readings and commands.
    pub name: String,
    /// The unit, as it stands in readings.
    pub unit: Option<String>,
    /// What the value is.
    #[serde(default, rename = "type")]
    pub kind: PointType,
    /// A number is multiplied by this,
    #[serde(default = "default_scale")]
    pub scale: f64,
    /// and this is added then.
    #[serde(default)]
    pub offset: f64,
    /// Texts or numbers, as the device sends them, that mean "no value".
    #[serde(default)]
    pub invalid: Vec<Value>,
    /// The least value, after scale and offset, that is believed or written.
    pub min: Option<f64>,
    /// The greatest value, after scale and offset, that is believed or written.
    pub max: Option<f64>,
    /// `nmea`: the sentence, with its talker (`WIMWV`) or for any talker (`MWV`).
    pub sentence: Option<String>,
    /// `nmea`: the field, counted from 1 after the sentence's name.
    pub field: Option<usize>,
    /// `nmea`, instead of `field`: the transducer of an XDR sentence, as `type:id`: `C:0`.
    pub transducer: Option<String>,
    /// `csv`: the column, counted from 1.
    pub column: Option<usize>,
    /// `regex`: the named group; the point's name if not given.
    pub group: Option<String>,
    /// `json`: the JSON pointer (RFC 6901); `/` and the point's name if not given.
    pub path: Option<String>,
    /// `binary`: the first byte, counted from 0 at the start of the frame.
    pub byte: Option<usize>,
    /// `binary`: the width: 1, 2, 4 or 8 bytes.
    pub width: Option<usize>,
    /// `binary`: the order of the bytes.
    #[serde(default)]
    pub order: ByteOrder,
    /// The value counts only where another field of the same frame says that it does.
    pub require: Option<Require>,
    /// What to send to write this point, with `{value}` in it; without it, it is read-only.
    pub write: Option<String>,
    /// What the device's answer to a write must contain; without it, a write counts as done
    /// once it was sent.
    pub write_answer: Option<String>,
}

/// What a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointType {
    /// A number.
    #[default]
    Float,
    /// A whole number, with a sign.
    Int,
    /// A whole number without a sign.
    Uint,
    /// `1`, `true`, `on`, `yes` or the opposite.
    Bool,
    /// Text.
    Text,
    /// NMEA `ddmm.mmm` with the hemisphere in the next field; becomes degrees, south negative.
    Latitude,
    /// NMEA `dddmm.mmm` with the hemisphere in the next field; becomes degrees, west negative.
    Longitude,
}

/// A condition on another field of the same frame: `require`.
#[derive(Debug, Clone, Deserialize)]
pub struct Require {
    /// `nmea`: the field.
    pub field: Option<usize>,
    /// `csv`: the column.
    pub column: Option<usize>,
    /// `regex`: the group.
    pub group: Option<String>,
    /// `json`: the pointer.
    pub path: Option<String>,
    /// The texts, one of which must stand there.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// The texts, none of which may stand there.
    #[serde(default)]
    pub none_of: Vec<String>,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            kind: FrameKind::Line,
            bytes_max: 1024,
            start: None,
            end: None,
            sync: None,
            length: None,
            length_at: None,
            length_width: 1,
            length_order: ByteOrder::Big,
            length_add: 0,
            check: Check::None,
            gap: None,
        }
    }
}

impl Config {
    /// The device's name: the one given, else the adapter's.
    pub(crate) fn device_name(&self) -> &str {
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

fn default_scale() -> f64 {
    1.0
}
