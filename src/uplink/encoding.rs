//! The form of a message on its way up.
//!
//! An envelope is one JSON object:
//!
//! ```json
//! {"id":"<gateway>/<stream>/<sequence>","source":"…","topic":"…",
//!  "ts":"2026-11-23T10:00:00.123Z","ts_trusted":true,"payload":…}
//! ```
//!
//! A payload that is JSON stands in it as the device wrote it, byte for byte; any other payload
//! stands in base64 under `payload_base64`. The id is the same however often a message is sent.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use holdfast_adapter_api::Timestamp;
use serde::de::IgnoredAny;

use crate::{config::Encoding, queue::Record};

/// What an envelope takes beyond its strings and its payload: keys, braces, time stamp, sequence.
const ENVELOPE_FRAME_BYTES: usize = 160;
/// The most bytes that JSON makes of one byte of a string (`\u0000`).
const ESCAPED_BYTES_MAX: usize = 6;

/// The payload to send for a record of this stream.
pub fn encode(encoding: Encoding, gateway: &str, stream: &str, record: &Record) -> Bytes {
    match encoding {
        Encoding::Raw => record.payload.clone(),
        Encoding::Envelope => envelope(gateway, stream, record).into(),
    }
}

/// The most bytes that [`encode`] can make of a payload of this length: what to hold against the
/// cloud's limit before a message is taken in.
pub fn encoded_bytes_max(encoding: Encoding, strings: &[&str], payload_bytes: usize) -> usize {
    match encoding {
        Encoding::Raw => payload_bytes,
        Encoding::Envelope => {
            let strings: usize = strings.iter().map(|text| text.len()).sum();
            let base64 = payload_bytes.div_ceil(3).saturating_mul(4);
            ENVELOPE_FRAME_BYTES + strings.saturating_mul(ESCAPED_BYTES_MAX) + base64
        }
    }
}

fn envelope(gateway: &str, stream: &str, record: &Record) -> Vec<u8> {
    let mut json = Vec::with_capacity(ENVELOPE_FRAME_BYTES + 128 + record.payload.len() * 4 / 3);
    let at =
        Timestamp { unix_millis: record.stamp.wall_millis, trusted: record.stamp.wall_trusted };
    json.extend_from_slice(br#"{"id":"#);
    string(&mut json, &format!("{gateway}/{stream}/{}", record.sequence));
    json.extend_from_slice(br#","source":"#);
    string(&mut json, &record.source);
    json.extend_from_slice(br#","topic":"#);
    string(&mut json, &record.topic);
    json.extend_from_slice(br#","ts":"#);
    string(&mut json, &at.to_rfc3339());
    json.extend_from_slice(br#","ts_trusted":"#);
    json.extend_from_slice(if at.trusted { b"true" } else { b"false" });
    if let Some(text) = as_json(&record.payload) {
        json.extend_from_slice(br#","payload":"#);
        json.extend_from_slice(text.as_bytes());
    } else {
        json.extend_from_slice(br#","payload_base64":"#);
        string(&mut json, &BASE64_STANDARD.encode(&record.payload));
    }
    json.push(b'}');
    json
}

fn string(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a string has a JSON form, and a Vec takes it");
}

/// The payload, if it is one JSON value.
fn as_json(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::queue::Stamp;

    fn record(source: &str, payload: &[u8]) -> Record {
        Record {
            sequence: 42,
            source: source.into(),
            topic: "gw-1/sensors/t".to_owned(),
            payload: Bytes::copy_from_slice(payload),
            stamp: Stamp {
                boot: 1,
                monotonic_millis: 5,
                wall_millis: 1_700_000_000_123,
                wall_trusted: true,
            },
        }
    }

    fn parsed(source: &str, payload: &[u8]) -> Value {
        let encoded = encode(Encoding::Envelope, "gw-1", "telemetry", &record(source, payload));
        serde_json::from_slice(&encoded).unwrap()
    }

    #[test]
    fn raw_is_what_the_device_sent() {
        let record = record("d", b"\xff\x00");
        assert_eq!(encode(Encoding::Raw, "gw-1", "telemetry", &record), record.payload);
    }

    #[test]
    fn an_envelope_carries_the_id_the_source_the_time_and_json_as_it_is() {
        let encoded =
            encode(Encoding::Envelope, "gw-1", "telemetry", &record("wx-1", br#"{"t": 21.50}"#));
        assert_eq!(
            std::str::from_utf8(&encoded).unwrap(),
            r#"{"id":"gw-1/telemetry/42","source":"wx-1","topic":"gw-1/sensors/t","ts":"2023-11-14T22:13:20.123Z","ts_trusted":true,"payload":{"t": 21.50}}"#
        );
    }

    #[test]
    fn what_is_not_json_travels_as_base64() {
        for payload in [&b"hello"[..], b"", b"{", b"1 2", b"\"\xff\"", b"\xff\x00"] {
            let value = parsed("d", payload);
            let base64 = value["payload_base64"].as_str().expect("base64");
            assert_eq!(BASE64_STANDARD.decode(base64).unwrap(), payload);
            assert!(value.get("payload").is_none());
        }
    }

    proptest! {
        #[test]
        fn an_envelope_is_always_json_and_never_larger_than_announced(
            source in ".{0,40}",
            payload in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let record = record(&source, &payload);
            let encoded = encode(Encoding::Envelope, "gw-1", "telemetry", &record);
            let value: Value = serde_json::from_slice(&encoded).unwrap();
            prop_assert_eq!(value["source"].as_str(), Some(source.as_str()));
            let strings = ["gw-1", "telemetry", &source, &record.topic];
            prop_assert!(
                encoded.len() <= encoded_bytes_max(Encoding::Envelope, &strings, payload.len())
            );
        }
    }
}
