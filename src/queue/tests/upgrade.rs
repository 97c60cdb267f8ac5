//! Folders that earlier versions wrote are read as they stand, and written on in today's format.
//!
//! `tests/format-<version>/<encoding>/` holds one of each. They were written by the story below when that
//! version was the newest, with every encoding that it knew: `HOLDFAST_KEEP_FOLDER=<folder>` makes
//! the test keep what it wrote.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::harness::{Coding, Harness, KEY, SMALL, STREAM, root};
use crate::{
    Keys, OnFull, StreamOptions,
    disk::{Disk as _, simulated::SimulatedDisk},
};

const RECORDS: u64 = 120;
/// Records below this one are acknowledged, except every fourth.
const ACKNOWLEDGED_BELOW: u64 = 60;

fn payload(number: u64) -> String {
    format!("{{\"sample\":{number},\"text\":\"{}\"}}", "~".repeat(400))
}

fn is_acknowledged(number: u64) -> bool {
    number < ACKNOWLEDGED_BELOW && number % 4 != 1
}

fn options(coding: Coding) -> StreamOptions {
    StreamOptions {
        compression: coding.compression,
        bytes_max: SMALL,
        on_full: OnFull::Reject,
        ..StreamOptions::with_defaults(STREAM)
    }
}

fn append(queue: &mut Harness, numbers: std::ops::Range<u64>) {
    let records = numbers.clone().map(|n| queue.record(&format!("s{}", n % 3), payload(n)));
    let records = records.collect();
    let outcomes = queue.append(records);
    assert_eq!(outcomes, numbers.map(|n| Ok(Some(n))).collect::<Vec<_>>());
}

/// A gateway that was killed: some records are acknowledged, some are newer than the cursor.
fn story(coding: Coding) -> Harness {
    let disk = SimulatedDisk::default();
    let mut queue = Harness::with_keys(disk, options(coding), coding.keys());
    for start in (0..RECORDS - 10).step_by(10) {
        append(&mut queue, start..start + 10);
    }
    for record in queue.read_all() {
        if is_acknowledged(record.sequence) {
            assert!(queue.acknowledge(record.sequence));
        }
    }
    queue.tend();
    append(&mut queue, RECORDS - 10..RECORDS);
    queue.kill();
    queue
}

fn check(queue: &Harness) {
    assert!(queue.recovery.is_clean(), "{}", queue.recovery);
    let records = queue.check();
    let sequences: Vec<_> = records.iter().map(|record| record.sequence).collect();
    let expected: Vec<_> = (0..RECORDS).filter(|number| !is_acknowledged(*number)).collect();
    assert_eq!(sequences, expected);
    for record in &records {
        assert_eq!(record.payload, payload(record.sequence));
        assert_eq!(*record.source, format!("s{}", record.sequence % 3));
        assert_eq!(record.topic, format!("t/s{}", record.sequence % 3));
        assert_eq!(record.stamp.monotonic_millis, 1_000_000);
    }
    assert_eq!(queue.total().accepted, RECORDS);
    assert_eq!(queue.total().delivered, RECORDS - expected.len() as u64);
}

/// Keeps the files of a queue, all but the ballast, whose content says nothing.
fn keep(queue: &Harness, folder: &Path) {
    for path in queue.disk.paths() {
        let name = path.strip_prefix(root()).unwrap();
        if name.ends_with("ballast") || name.ends_with("lock") {
            continue;
        }
        let to = folder.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, queue.disk.content(&path)).unwrap();
    }
}

/// A kept folder as a disk.
fn disk_of(folder: &Path) -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    let dir = root().join(STREAM);
    disk.create_dir(&dir).unwrap();
    for entry in fs::read_dir(folder.join(STREAM)).unwrap() {
        let entry = entry.unwrap();
        let file = disk.create(&dir.join(entry.file_name())).unwrap();
        file.write_at(&fs::read(entry.path()).unwrap(), 0).unwrap();
        file.sync().unwrap();
    }
    disk.sync_dir(&dir).unwrap();
    disk
}

fn kept_folders() -> Vec<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let entries = fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().path());
    let is_format =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("format-");
    let codings = entries.filter(is_format).flat_map(|format| fs::read_dir(format).unwrap());
    codings.map(|coding| coding.unwrap().path()).collect()
}

#[test]
fn a_folder_written_now_holds_what_the_story_says() {
    for coding in Coding::all() {
        let mut queue = story(coding);
        if let Some(folder) = std::env::var_os("HOLDFAST_KEEP_FOLDER") {
            keep(&queue, &Path::new(&folder).join(coding.name()));
        }
        queue.open();
        check(&queue);
    }
}

#[test]
fn folders_of_every_earlier_format_are_read_and_written_on() {
    let folders = kept_folders();
    assert!(folders.len() >= 3, "{folders:?}");
    for folder in folders {
        println!("{}", folder.display());
        let keys = Keys::parse(KEY).unwrap();
        let mut queue = Harness::with_keys(disk_of(&folder), options(Coding::PLAIN), keys);
        check(&queue);
        append(&mut queue, RECORDS..RECORDS + 10);
        for record in queue.read_all() {
            assert_eq!(record.payload, payload(record.sequence));
            assert!(queue.acknowledge(record.sequence));
        }
        queue.tend();
        append(&mut queue, RECORDS + 10..RECORDS + 20);
        queue.kill();
        queue.open();
        assert!(queue.recovery.is_clean(), "{}", queue.recovery);
        assert_eq!(queue.check().len(), 10);
        assert_eq!(queue.total().accepted, RECORDS + 20);
        queue.close();
        queue.open();
        assert_eq!(queue.check().len(), 10);
    }
}
