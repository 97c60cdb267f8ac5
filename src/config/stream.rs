//! `[[stream]]`

use std::time::Duration;

use serde::Deserialize;

use crate::queue::StreamOptions;
pub use crate::queue::{Compression, OnFull};

/// The stream for ordinary telemetry, which exists without being configured.
pub const TELEMETRY: &str = "telemetry";
/// The stream for the gateway's own messages (outcomes of commands), which always exists.
pub const EVENTS: &str = "events";

/// A named queue towards the cloud.
#[derive(Debug, Clone, Deserialize)]
pub struct Stream {
    /// The name: 1 to 32 of `a-z`, `0-9`, `_` and `-`.
    pub name: String,
    /// Streams of a higher priority are served first; 0 to 9.
    #[serde(default = "priority")]
    pub priority: u8,
    /// The most the stream may take on disk, in bytes.
    #[serde(default = "bytes_max")]
    pub bytes_max: u64,
    /// Messages older than this are not sent any more.
    #[serde(default = "age_max", with = "humantime_serde")]
    pub age_max: Duration,
    /// What happens when `bytes_max` is reached or the disk is full.
    #[serde(default)]
    pub on_full: OnFull,
    /// How batches are compressed on disk.
    #[serde(default)]
    pub compression: Compression,
    /// The form of a message on its way up.
    #[serde(default)]
    pub encoding: Encoding,
}

/// The form of a message on its way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The payload as the device sent it.
    #[default]
    Raw,
    /// A JSON object around it: `id`, `source`, `topic`, `ts`, `ts_trusted`, and `payload` (JSON
    /// as it is, anything else as `payload_base64`).
    Envelope,
}

fn priority() -> u8 {
    5
}

fn bytes_max() -> u64 {
    StreamOptions::with_defaults("").bytes_max
}

fn age_max() -> Duration {
    StreamOptions::with_defaults("").age_max
}

impl Stream {
    /// A stream of this name with every default.
    pub fn with_defaults(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            priority: priority(),
            bytes_max: bytes_max(),
            age_max: age_max(),
            on_full: OnFull::default(),
            compression: Compression::default(),
            encoding: Encoding::default(),
        }
    }

    /// What the queue must know of it.
    pub fn queue_options(&self) -> StreamOptions {
        StreamOptions {
            name: self.name.clone(),
            bytes_max: self.bytes_max,
            age_max: self.age_max,
            on_full: self.on_full,
            compression: self.compression,
        }
    }
}
