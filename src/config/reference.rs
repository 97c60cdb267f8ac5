//! `config/holdfast.toml` is held to the schema.

use std::{collections::BTreeSet, fs, path::Path};

use super::{load, schema::tables};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/holdfast.toml");

/// The reference with every example and default switched on: a `#` right before a key or a table
/// is taken away.
fn switched_on() -> String {
    let text = fs::read_to_string(REFERENCE).unwrap();
    let switch_on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    text.lines().map(switch_on).collect::<Vec<_>>().join("\n")
}

/// Every `table.key` that occurs in a TOML document, without indices.
fn keys(table: &str, value: &toml::Value, into: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(map) => {
            for (key, value) in map {
                let path = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
                into.insert(path.clone());
                keys(&path, value, into);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| keys(table, item, into)),
        _ => {}
    }
}

#[test]
fn the_reference_file_shows_every_key_of_the_schema() {
    let document: toml::Value = toml::from_str(&switched_on()).unwrap();
    let mut shown = BTreeSet::new();
    keys("", &document, &mut shown);
    for (table, known) in tables() {
        for key in known {
            let path = if table.is_empty() { (*key).to_owned() } else { format!("{table}.{key}") };
            assert!(shown.contains(&path), "config/holdfast.toml does not show {path}");
        }
    }
}

#[test]
fn the_reference_file_has_no_key_the_schema_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("holdfast.toml");
    fs::write(&path, switched_on()).unwrap();
    if let Err(problems) = load(&path, &[]) {
        panic!("{problems}");
    }
}

#[test]
fn the_defaults_shown_in_the_reference_file_are_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("on.toml");
    fs::write(&path, switched_on()).unwrap();
    let on = load(&path, &[]).unwrap().config;
    let off = load(Path::new(REFERENCE), &[]).unwrap().config;
    assert_eq!(format!("{:?}", on.limits), format!("{:?}", off.limits));
    assert_eq!(format!("{:?}", on.log), format!("{:?}", off.log));
    assert_eq!(on.queue.commit_interval, off.queue.commit_interval);
    assert_eq!(format!("{:?}", on.commands), format!("{:?}", off.commands));
    let telemetry = |config: &super::Config| {
        let mut streams = config.streams();
        streams.retain(|stream| stream.name == "telemetry");
        format!("{streams:?}")
    };
    assert_eq!(telemetry(&on), telemetry(&off));
    let (on, off) = (on.uplink.unwrap(), off.uplink.unwrap());
    assert_eq!(
        (on.keep_alive, on.ack_timeout, on.backoff_min, on.backoff_max, on.backoff_refused),
        (off.keep_alive, off.ack_timeout, off.backoff_min, off.backoff_max, off.backoff_refused)
    );
}
