//! The three kinds of line.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use holdfast_adapter_api::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    cli::queue::moment::rfc3339,
    queue::{NewRecord, Origin, Stamp, Stored},
};

/// What the first and the last line name the format.
pub(super) const FORMAT: &str = "holdfast-queue-export";
/// The version that is written.
pub(super) const VERSION: u32 = 1;
/// What the trailer begins with.
pub(super) const TRAILER_START: &[u8] = b"{\"end\":";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) exported: String,
    pub(super) by: String,
    pub(super) settled_too: bool,
    pub(super) streams: Vec<HeaderStream>,
}

/// A stream in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli::queue) struct HeaderStream {
    pub(in crate::cli::queue) stream: String,
    pub(in crate::cli::queue) queued: u64,
    pub(in crate::cli::queue) next_sequence: u64,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trailer {
    pub(super) end: String,
    pub(super) records: u64,
    pub(super) streams: BTreeMap<String, u64>,
    pub(super) damaged: u64,
    pub(super) crc32c: String,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli::queue) struct RecordLine<'a> {
    pub(super) stream: Cow<'a, str>,
    pub(super) sequence: u64,
    segment: String,
    source: Cow<'a, str>,
    topic: Cow<'a, str>,
    time: String,
    stamp: StampFields,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) settled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StampFields {
    boot: String,
    monotonic_ms: u64,
    unix_ms: i64,
    trusted: bool,
}

impl<'a> RecordLine<'a> {
    /// The line of a record.
    pub(in crate::cli::queue) fn of(stream: &'a str, stored: &'a Stored) -> Self {
        let record = &stored.record;
        let text = std::str::from_utf8(&record.payload);
        Self {
            stream: Cow::Borrowed(stream),
            sequence: record.sequence,
            segment: format!("{:016x}", stored.segment),
            source: Cow::Borrowed(&record.source),
            topic: Cow::Borrowed(&record.topic),
            time: rfc3339(&record.stamp),
            stamp: StampFields {
                boot: format!("{:016x}", record.stamp.boot),
                monotonic_ms: record.stamp.monotonic_millis,
                unix_ms: record.stamp.wall_millis,
                trusted: record.stamp.wall_trusted,
            },
            settled: stored.settled,
            payload: text.ok().map(Cow::Borrowed),
            payload_base64: text.is_err().then(|| BASE64_STANDARD.encode(&record.payload)),
        }
    }

    /// The line's text, without its end.
    pub(in crate::cli::queue) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record's line holds only texts and numbers")
    }

    /// The record and where it comes from, or what is wrong with the line.
    pub(super) fn into_record(self) -> Result<(Origin, NewRecord), String> {
        let hex = |name: &str, text: &str| match u64::from_str_radix(text, 16) {
            Ok(number) if text.len() == 16 => Ok(number),
            _ => Err(format!("{name} must be 16 hexadecimal digits, and is `{text}`")),
        };
        let payload = match (self.payload, self.payload_base64) {
            (Some(text), None) => Bytes::from(text.into_owned()),
            (None, Some(text)) => BASE64_STANDARD
                .decode(text)
                .map(Bytes::from)
                .map_err(|error| format!("payload_base64: {error}"))?,
            _ => return Err("there must be one of payload and payload_base64".to_owned()),
        };
        let stamp = Stamp {
            boot: hex("boot", &self.stamp.boot)?,
            monotonic_millis: self.stamp.monotonic_ms,
            wall_millis: self.stamp.unix_ms,
            wall_trusted: self.stamp.trusted,
        };
        let wall = Timestamp { unix_millis: stamp.wall_millis, trusted: stamp.wall_trusted };
        if wall.to_rfc3339() != self.time {
            return Err(format!("time is {}, and unix_ms says {}", self.time, wall.to_rfc3339()));
        }
        let origin = Origin { segment: hex("segment", &self.segment)?, sequence: self.sequence };
        let (source, topic) = (self.source.into_owned().into(), self.topic.into_owned());
        Ok((origin, NewRecord { source, topic, payload, stamp }))
    }
}
