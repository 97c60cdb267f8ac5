//! What is exported is read back as it was; whatever else is in a file is refused by its line.

use bytes::Bytes;

use super::*;
use crate::{
    cli::queue::exchange::Writer,
    queue::{Record, Stamp, Stored},
};

fn stored(sequence: u64, payload: &[u8], wall_millis: i64) -> Stored {
    Stored {
        segment: 0x0000_0001_dead_beef,
        settled: sequence == 9,
        record: Record {
            sequence,
            source: "pump \"1\"".into(),
            topic: "gw/sensors/\u{1}\n°".to_owned(),
            payload: Bytes::copy_from_slice(payload),
            stamp: Stamp {
                boot: u64::MAX,
                monotonic_millis: 17,
                wall_millis,
                wall_trusted: sequence.is_multiple_of(2),
            },
        },
    }
}

fn records() -> Vec<Stored> {
    vec![
        stored(3, b"21.5", 1_795_442_400_120),
        stored(4, b"\xff\x00", -5),
        stored(9, "\u{0}\"°\\".as_bytes(), i64::MAX),
        stored(12, b"", i64::MIN),
    ]
}

fn exported() -> Vec<u8> {
    let stream = HeaderStream { stream: "telemetry".to_owned(), queued: 3, next_sequence: 20 };
    let mut writer = Writer::begin(Vec::new(), "now".to_owned(), true, vec![stream]).unwrap();
    for stored in records() {
        writer.record("telemetry", &stored).unwrap();
    }
    let (count, bytes) = writer.end(1).unwrap();
    assert_eq!(count, 4);
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("backlog.jsonl");
    std::fs::write(&path, bytes).unwrap();
    let export = Export::open(&path).map_err(|error| error.to_string())?;
    export.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

#[test]
fn what_is_exported_is_read_back_as_it_was() {
    let entries = read(&exported()).unwrap();
    assert_eq!(entries.len(), records().len());
    for (entry, stored) in entries.into_iter().zip(records()) {
        let record = &entry.record;
        assert_eq!(entry.stream, "telemetry");
        assert_eq!(
            (entry.origin.segment, entry.origin.sequence, entry.settled),
            (stored.segment, stored.record.sequence, stored.settled)
        );
        assert_eq!(
            (&record.source, &record.topic, &record.payload, record.stamp),
            (
                &stored.record.source,
                &stored.record.topic,
                &stored.record.payload,
                stored.record.stamp
            )
        );
    }
}

#[test]
fn the_export_in_the_documents_is_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating/queue-tools.md");
    let document = std::fs::read_to_string(path).unwrap();
    let example = document.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let entries = read(example.as_bytes()).unwrap();
    assert_eq!(entries.len(), 2);
    for (entry, line) in entries.into_iter().zip(example.lines().skip(1)) {
        let Entry { stream, origin, settled, record, .. } = entry;
        let NewRecord { source, topic, payload, stamp } = record;
        let record = Record { sequence: origin.sequence, source, topic, payload, stamp };
        let stored = Stored { segment: origin.segment, settled, record };
        assert_eq!(RecordLine::of(&stream, &stored).to_json(), line);
    }
    // Every key of every line is explained in the tables.
    for line in example.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for (key, value) in line.as_object().unwrap() {
            let below = if key == "stamp" { value.as_object() } else { None };
            let keys = below.map_or_else(
                || vec![key.clone()],
                |below| below.keys().map(|inner| format!("{key}.{inner}")).collect(),
            );
            for key in keys {
                assert!(document.contains(&format!("\n| `{key}` |")), "{key}");
            }
        }
    }
}

#[test]
fn an_export_that_was_cut_off_anywhere_is_refused() {
    let bytes = exported();
    for length in 0..bytes.len() {
        let error = read(&bytes[..length]).unwrap_err();
        assert!(error.contains("backlog.jsonl line "), "{length}: {error}");
    }
}

#[test]
fn an_export_that_was_changed_anywhere_is_refused() {
    let bytes = exported();
    let trailer = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for at in 0..trailer {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let text = String::from_utf8(exported()).unwrap();
    for (from, to, line, what) in [
        ("\"version\":1", "\"version\":2", 1, "version is 2"),
        ("\"sequence\":4", "\"sequence\":3", 3, "not behind"),
        ("\"sequence\":9", "\"sequence\":\"9\"", 4, "no record"),
        ("/wA=", "/w=", 3, "payload_base64"),
        ("\"payload\":\"21.5\"", "\"extra\":1", 2, "extra"),
        ("1795442400120", "1795442400121", 2, "unix_ms"),
        ("{\"stream\":\"telemetry\",\"sequence\":3", "{\"stream\":\"x\",\"sequence\":3", 2, "`x`"),
        ("\"records\":4", "\"records\":5", 6, "counts 5"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.contains(&format!("line {line}: ")), "{from}: {error}");
        assert!(error.contains(what), "{from}: {error}");
    }
    let error = read((text + "more\n").as_bytes()).unwrap_err();
    assert!(error.contains("line 7: something stands behind"), "{error}");
}
