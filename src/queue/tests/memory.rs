//! Opening a queue, and looking into it, takes the memory of a few segments, however many there
//! are and whatever is wrong with them. Measured in a process of its own: the most that it ever
//! held is what the operating system says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;

use super::harness::{ManualClock, STREAM};
use crate::{
    Clock as _, Environment, Folder, NewRecord, OnFull, StreamOptions, open::open_streams,
};

/// So many of 4 MiB each.
const SEGMENTS: usize = 10;
/// Half of what the segments take; one of them, its bytes and the places of its records, takes
/// less than a third of this.
const GROWTH_KIB_MAX: u64 = SEGMENTS as u64 * 4096 / 2;
const PAYLOAD_BYTES: usize = 400_000;
const ITSELF: &str =
    "tests::memory::damage_in_every_segment_takes_no_more_memory_than_damage_in_one";
const CHILD_DIR: &str = "HOLDFAST_TEST_MEMORY_DIR";
const CHILD_TASK: &str = "HOLDFAST_TEST_MEMORY_TASK";

fn options() -> StreamOptions {
    let options = StreamOptions::with_defaults(STREAM);
    StreamOptions { bytes_max: 256 << 20, on_full: OnFull::Reject, ..options }
}

fn environment() -> Environment {
    Environment::new(Arc::new(ManualClock::default()))
}

fn record(payload: Vec<u8>) -> NewRecord {
    NewRecord {
        source: "s".into(),
        topic: "t".to_owned(),
        payload: Bytes::from(payload),
        stamp: ManualClock::default().now(),
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join(STREAM)).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
    entries.filter(is_segment).collect()
}

/// One damaged record in every segment, and no cursor, so that all of them are read.
fn damaged_folder(dir: &Path) {
    let mut opened = open_streams(dir, vec![options()], &environment()).unwrap();
    let id = opened.streams[0].id;
    let mut append = || {
        let record = record(vec![b'x'; PAYLOAD_BYTES]);
        opened.committer.commit(&[&[(id, record)]]).remove(0).remove(0).unwrap();
    };
    while segments(dir).len() < SEGMENTS {
        append();
    }
    // Else the damaged record of the last segment would be one of a write that was cut off.
    append();
    drop(opened);
    for slot in ["cursor.0", "cursor.1"] {
        fs::remove_file(dir.join(STREAM).join(slot)).unwrap();
    }
    for path in segments(dir) {
        let mut content = fs::read(&path).unwrap();
        content[PAYLOAD_BYTES / 2] ^= 1;
        fs::write(&path, content).unwrap();
    }
}

/// The most memory that this process ever held.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn perform(task: &str, dir: &Path) -> u64 {
    match task {
        "verify" => Folder::new(dir).verify().unwrap().damaged(),
        "ledger" => Folder::new(dir).ledger().unwrap().streams[0].total.damaged,
        "open" => {
            let opened = open_streams(dir, vec![options()], &environment()).unwrap();
            opened.recovery.damage.len() as u64
        }
        _ => panic!("{task}"),
    }
}

#[test]
fn damage_in_every_segment_takes_no_more_memory_than_damage_in_one() {
    if let (Ok(dir), Ok(task)) = (std::env::var(CHILD_DIR), std::env::var(CHILD_TASK)) {
        let before = peak_kib();
        let damaged = perform(&task, Path::new(&dir));
        eprintln!("{damaged} {}", peak_kib() - before);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    damaged_folder(folder.path());
    for task in ["ledger", "verify", "open"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", ITSELF, "--nocapture"]);
        command.env(CHILD_DIR, folder.path()).env(CHILD_TASK, task);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{task}: {told}");
        let (damaged, grown) = told.trim().split_once(' ').unwrap();
        println!("{task}: grew by {grown} KiB, {damaged} records damaged in {SEGMENTS} segments");
        assert_eq!(damaged.parse::<usize>().unwrap(), SEGMENTS, "{task}");
        assert!(grown.parse::<u64>().unwrap() < GROWTH_KIB_MAX, "{task} grew by {grown} KiB");
    }
    let quarantine = folder.path().join(STREAM).join("quarantine");
    let kept = fs::read_dir(quarantine).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    // All that was cut out is there, whole.
    let pieces = kept.filter(|metadata| metadata.len() > PAYLOAD_BYTES as u64);
    assert_eq!(pieces.count(), SEGMENTS);
}

/// Its length, which is no promise of the disk's, must not decide how much memory is asked for.
#[test]
fn a_segment_that_claims_an_enormous_length_is_read_as_far_as_a_segment_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open_streams(folder.path(), vec![options()], &environment()).unwrap();
    let id = opened.streams[0].id;
    opened.committer.commit(&[&[(id, record(b"x".to_vec()))]]).remove(0).remove(0).unwrap();
    drop(opened);
    let [path] = &segments(folder.path())[..] else { panic!("one segment") };
    // Sparse, and far more than there is memory.
    fs::File::options().write(true).open(path).unwrap().set_len(1 << 43).unwrap();
    assert_eq!(Folder::new(folder.path()).verify().unwrap().intact, 1);
    let opened = open_streams(folder.path(), vec![options()], &environment()).unwrap();
    assert_eq!(opened.streams[0].ledger().total.queued, 1);
}
