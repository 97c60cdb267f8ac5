//! Opening refuses what it must before it touches anything, in any of the streams.

use std::path::{Path, PathBuf};

use super::harness::{Harness, SMALL, root};
use crate::{
    Folder, Keys, OnFull, OpenError, StreamOptions, disk::simulated::SimulatedDisk,
    open::open_streams,
};

/// In the order in which they are opened.
const STREAMS: [&str; 2] = ["archive", "telemetry"];
/// So many that each stream has several segments.
const BATCHES: usize = 12;

fn options(stream: &str) -> StreamOptions {
    let options = StreamOptions::with_defaults(stream);
    StreamOptions { bytes_max: SMALL, on_full: OnFull::Reject, ..options }
}

/// Two streams with several segments each and work for the next opening: the process is dead.
fn two_streams() -> Harness {
    let [first, second] = STREAMS.map(options);
    let mut queue = Harness::on(SimulatedDisk::default(), second);
    for _ in 0..BATCHES {
        queue.fill("s", 20, 200);
    }
    queue.close();
    let mut queue = Harness::on(queue.disk.clone(), first);
    for _ in 0..BATCHES {
        queue.fill("s", 20, 200);
    }
    queue.kill();
    queue
}

fn contents(disk: &SimulatedDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = disk.paths().into_iter().filter(|path| !path.ends_with("lock"));
    paths.map(|path| (path.clone(), disk.content(&path))).collect()
}

/// The segments of the stream that is opened last, oldest first.
fn segments(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let dir = root().join(STREAMS[1]);
    let mut paths = disk.paths();
    paths.retain(|path| {
        path.parent() == Some(&dir) && path.extension().is_some_and(|extension| extension == "seg")
    });
    paths
}

/// As a later version would have written it: the checksum fits.
fn later_segment(disk: &SimulatedDisk, path: &Path) {
    let mut content = disk.content(path);
    content[8..10].copy_from_slice(&3_u16.to_le_bytes());
    let length = u32::from_le_bytes(content[12..16].try_into().unwrap()) as usize;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&content[..16]), &content[20..length]);
    content[16..20].copy_from_slice(&checksum.to_le_bytes());
    disk.set_content(path, &content);
}

fn later_slot(disk: &SimulatedDisk, path: &Path) {
    let mut content = disk.content(path);
    assert_eq!(content[..8], *b"HFCURSR1");
    content[7] = b'2';
    let length = u32::from_le_bytes(content[16..20].try_into().unwrap()) as usize;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&content[..20]), &content[24..24 + length]);
    content[20..24].copy_from_slice(&checksum.to_le_bytes());
    disk.set_content(path, &content);
}

/// The file that the refusal must name.
fn assert_refused_untouched(queue: &Harness, disk: &SimulatedDisk, file: &Path) {
    let before = contents(disk);
    let mut environment = queue.environment();
    environment.disk = std::sync::Arc::new(disk.clone());
    let opened = open_streams(&root(), STREAMS.map(options).into(), &environment);
    // Not `unwrap_err`, which would print the whole disk.
    let Err(error) = opened else { panic!("{} was opened", file.display()) };
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    let file = file.file_name().unwrap().to_str().unwrap();
    assert!(error.to_string().contains(file), "{error} does not name {file}");
    assert!(contents(disk) == before, "{file}: something was touched");
    let folder = Folder::on(environment.disk, &root()).with_keys(Keys::none());
    let error = folder.verify().unwrap_err();
    assert!(error.to_string().contains("later"), "{error}");
}

#[test]
fn a_later_version_of_any_segment_that_is_needed_is_refused_before_anything_is_touched() {
    let queue = two_streams();
    let paths = segments(&queue.disk);
    assert!(paths.len() > 2);
    for path in &paths {
        let disk = queue.disk.duplicate();
        later_segment(&disk, path);
        assert_refused_untouched(&queue, &disk, path);
    }
}

#[test]
fn a_later_version_of_the_cursor_is_refused_and_not_taken_for_damage() {
    let queue = two_streams();
    let dir = root().join(STREAMS[1]);
    let written = ["cursor.0", "cursor.1"].map(|name| dir.join(name)).into_iter().filter(|path| {
        queue.disk.paths().contains(path) && queue.disk.content(path).starts_with(b"HFCURSR1")
    });
    let written: Vec<_> = written.collect();
    assert!(!written.is_empty());
    for path in &written {
        let disk = queue.disk.duplicate();
        later_slot(&disk, path);
        assert_refused_untouched(&queue, &disk, path);
    }
}

#[test]
fn a_cursor_that_only_looks_like_a_later_version_is_damaged() {
    let mut queue = two_streams();
    for name in ["cursor.0", "cursor.1"] {
        let path = root().join(STREAMS[0]).join(name);
        let mut content = queue.disk.content(&path);
        if content.starts_with(b"HFCURSR1") {
            content[7] = b'2';
            queue.disk.set_content(&path, &content);
        }
    }
    queue.open();
    assert!(queue.recovery.to_string().contains("cursor"), "{}", queue.recovery);
    assert_eq!(queue.check().len(), BATCHES * 20);
}
