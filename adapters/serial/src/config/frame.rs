//! `frame`

use std::time::Duration;

use serde::Deserialize;

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
