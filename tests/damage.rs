//! Promise 5: whatever happens to the queue's files, the gateway starts, says what was lost, and
//! delivers the rest.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::support::{Chance, Cloud, DeviceLog, Fleet, Gateway, Load, Verdict, compare, folder};

const LIMIT: Duration = Duration::from_mins(1);
const ROUNDS: usize = 12;
const DEVICES: usize = 5;
/// Together some segments of 4 MiB.
const MESSAGES_EACH: u64 = 1_200;
const PAYLOAD_BYTES: usize = 2_000;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// Bits are flipped in this range.
    Garbled { at: u64, bytes: u64 },
    /// The range is zeroed.
    Zeroed { at: u64, bytes: u64 },
    /// The file ends here.
    Truncated { at: u64 },
    /// The file is gone.
    Removed,
}

impl Damage {
    fn pick(chance: &mut Chance, file: &Path) -> Self {
        let size = fs::metadata(file).unwrap().len().max(1);
        // Preallocated files are mostly empty; most damage should hit what is written.
        let written = last_byte_in_use(file).clamp(1, size);
        let at = chance.pick(0..written);
        let bytes = chance.pick(1..4_096).min(size - at);
        match chance.pick(0..7) {
            0 | 1 => Self::Garbled { at, bytes: bytes.min(8) },
            2 => Self::Garbled { at, bytes },
            3 => Self::Zeroed { at, bytes },
            4 => Self::Zeroed { at: 0, bytes: size },
            5 => Self::Truncated { at },
            _ => Self::Removed,
        }
    }

    fn inflict(self, path: &Path) {
        let open = || OpenOptions::new().read(true).write(true).open(path).unwrap();
        match self {
            Self::Garbled { at, bytes } => rewrite(&open(), at, bytes, |byte| byte ^ 0x5A),
            Self::Zeroed { at, bytes } => rewrite(&open(), at, bytes, |_| 0),
            Self::Truncated { at } => open().set_len(at).unwrap(),
            Self::Removed => fs::remove_file(path).unwrap(),
        }
    }
}

fn rewrite(file: &File, at: u64, bytes: u64, change: impl Fn(u8) -> u8) {
    let mut range = vec![0; bytes as usize];
    file.read_exact_at(&mut range, at).unwrap();
    for byte in &mut range {
        *byte = change(*byte);
    }
    file.write_all_at(&range, at).unwrap();
}

fn last_byte_in_use(file: &Path) -> u64 {
    let content = fs::read(file).unwrap();
    content.iter().rposition(|&byte| byte != 0).map_or(0, |index| index as u64 + 1)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

fn copy_all(from: &Path, to: &Path) {
    for file in files_below(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, copy).unwrap();
    }
}

/// Starts a gateway on damaged files with the cloud there and lets it deliver what it has.
fn deliver_the_rest(cloud: &Cloud, gateway: &mut Gateway, logs: &[DeviceLog]) -> (Verdict, u64) {
    cloud.recorder.forget();
    gateway.start();
    // It still takes in and passes on what is new.
    let fresh =
        Load { devices: 1, messages_each: 10, topic: "sensors/new".to_owned(), ..Load::default() };
    let (new_logs, _) = Fleet::start(fresh, gateway.address.clone()).finish(LIMIT);
    let ledger = gateway.drain_and_stop("telemetry", LIMIT);
    cloud.recorder.flush();
    let topic = |device: &str| format!("gw-test/sensors/new/{device}");
    compare(&new_logs, &cloud.recorder, topic).expect_nothing_lost();
    let verdict = compare(logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    (verdict, ledger.total("telemetry").damaged)
}

/// A gateway that has taken in [`DEVICES`] × [`MESSAGES_EACH`] messages, none of them delivered,
/// and is gone; a copy of its files, and what the devices know.
fn filled(own: &Path, copy: &Path, end: fn(&mut Gateway)) -> Vec<DeviceLog> {
    let mut gateway = Gateway::new(own, "");
    gateway.start();
    let load = Load {
        devices: DEVICES,
        messages_each: MESSAGES_EACH,
        payload_bytes: PAYLOAD_BYTES,
        ..Load::default()
    };
    let (logs, _) = Fleet::start(load, gateway.address.clone()).finish(LIMIT);
    end(&mut gateway);
    copy_all(&gateway.data(), copy);
    logs
}

/// Damages one file of the queue. Most damage hits segments, where the records are.
fn damage_one(chance: &mut Chance, queue: &Path) {
    let mut files = files_below(queue);
    files.retain(|file| fs::metadata(file).unwrap().len() > 0);
    let (segments, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.extension().is_some_and(|e| e == "seg"));
    let files = if others.is_empty() || (!segments.is_empty() && chance.pick(0..3) > 0) {
        segments
    } else {
        others
    };
    let Some(last) = files.len().checked_sub(1) else { return };
    let file = &files[chance.pick(0..last as u64 + 1) as usize];
    let damage = Damage::pick(chance, file);
    print!("{damage:?} in {}: ", file.strip_prefix(queue).unwrap().display());
    damage.inflict(file);
}

/// A gateway starts on damaged copies of the files and delivers what it has. How many of the
/// acknowledged messages did not arrive, and how many it counts as damaged.
fn round(
    cloud: &Cloud,
    [own, whole]: [&Path; 2],
    logs: &[DeviceLog],
    damage: impl FnOnce(&Path),
) -> [u64; 2] {
    let mut gateway = Gateway::new(own, &cloud.uplink());
    fs::remove_dir_all(gateway.data()).unwrap();
    copy_all(whole, &gateway.data());
    damage(&gateway.data().join("queue"));

    let said_before = gateway.log().len();
    let (verdict, damaged) = deliver_the_rest(cloud, &mut gateway, logs);
    let missing = verdict.missing.len() as u64;
    println!("{missing} missing, {damaged} counted as damaged");
    assert!(verdict.out_of_order.is_empty(), "{:?}", verdict.out_of_order);
    if damaged > 0 {
        let log = gateway.log()[said_before..].to_lowercase();
        assert!(log.contains("damaged record"), "{damaged} damaged, and the log is silent:\n{log}");
    }
    [missing, damaged]
}

#[test]
fn heavy_no_damage_to_the_queue_stops_the_gateway_and_every_loss_is_counted() {
    let mut chance = Chance::new();
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let [own, whole] = ["gateway", "whole"].map(|name| folder.path().join(name));
    let logs = filled(&own, &whole, Gateway::stop);
    let mut lost = 0;
    for _ in 0..ROUNDS {
        let damage = |queue: &Path| damage_one(&mut chance, queue);
        let [missing, damaged] = round(&cloud, [&own, &whole], &logs, damage);
        assert_eq!(missing, damaged, "messages that are missing, and those counted as damaged");
        lost += missing;
    }
    assert!(lost > 0, "no damage of {ROUNDS} cost anything: it did not hit the records");
}

#[test]
fn heavy_the_loss_of_a_whole_segment_is_counted_and_the_others_are_delivered() {
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    for end in [Gateway::stop, Gateway::kill] {
        let [own, whole] = ["gateway", "whole"].map(|name| folder.path().join(name));
        let logs = filled(&own, &whole, end);
        let mut segments = files_below(&whole.join("queue"));
        segments.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
        assert!(segments.len() > 2, "{segments:?}");
        // Of a killed gateway's last segment nothing but itself knows.
        segments.pop();
        for segment in segments {
            let name = segment.strip_prefix(&whole).unwrap();
            println!("without {}", name.display());
            let [missing, damaged] = round(&cloud, [&own, &whole], &logs, |queue| {
                fs::remove_file(queue.parent().unwrap().join(name)).unwrap();
            });
            assert!(missing > 0);
            assert_eq!(missing, damaged, "messages missing, and those counted as damaged");
        }
        fs::remove_dir_all(&own).unwrap();
        fs::remove_dir_all(&whole).unwrap();
    }
}

/// After a kill the youngest records are known by nothing but themselves: where their end of the
/// file is gone, no count can tell; nor where the counts are damaged as well. All else holds.
#[test]
fn heavy_no_damage_to_several_files_of_a_killed_gateway_stops_the_next_one() {
    let mut chance = Chance::new();
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let [own, whole] = ["gateway", "whole"].map(|name| folder.path().join(name));
    let logs = filled(&own, &whole, Gateway::kill);
    for _ in 0..ROUNDS {
        let times = chance.pick(1..5);
        round(&cloud, [&own, &whole], &logs, |queue| {
            (0..times).for_each(|_| damage_one(&mut chance, queue));
        });
    }
}
