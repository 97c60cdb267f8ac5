//! Promise 5: whatever happens to the queue's files, the gateway starts, says what was lost, and
//! delivers the rest.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::support::{
    Chance, Cloud, DeviceLog, Fleet, Gateway, Load, Verdict, compare, folder, wait_until,
};

const LIMIT: Duration = Duration::from_mins(1);
const ROUNDS: usize = 16;
const DEVICES: usize = 5;
const MESSAGES_EACH: u64 = 400;

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

#[test]
fn heavy_no_damage_to_the_queue_stops_the_gateway_and_every_loss_is_counted() {
    let mut chance = Chance::new();
    let folder = folder();
    let cloud = Cloud::here(folder.path());
    let own = folder.path().join("gateway");
    let mut gateway = Gateway::new(&own, "");
    gateway.start();
    let load = Load { devices: DEVICES, messages_each: MESSAGES_EACH, ..Load::default() };
    let (logs, _) = Fleet::start(load, gateway.address.clone()).finish(LIMIT);
    // Long enough for the counters and the cursor to be on disk as well.
    wait_until("the ledger on disk is complete", LIMIT, || {
        gateway.ledger().total("telemetry").accepted == DEVICES as u64 * MESSAGES_EACH
    });
    gateway.kill();
    let whole = folder.path().join("whole");
    copy_all(&gateway.data(), &whole);

    let mut losses = 0;
    for round in 0..ROUNDS {
        fs::remove_dir_all(gateway.data()).unwrap();
        copy_all(&whole, &gateway.data());
        let files = files_below(&gateway.data().join("queue"));
        let file = &files[chance.pick(0..files.len() as u64) as usize];
        let damage = Damage::pick(&mut chance, file);
        let name = file.strip_prefix(gateway.data()).unwrap().display().to_string();
        println!("round {round}: {damage:?} in {name}");
        damage.inflict(file);

        let mut gateway = Gateway::new(&own, &cloud.uplink());
        let said_before = gateway.log().len();
        let (verdict, damaged) = deliver_the_rest(&cloud, &mut gateway, &logs);
        let missing = verdict.missing.len() as u64;
        println!("round {round}: {missing} missing, {damaged} counted as damaged");
        assert!(verdict.out_of_order.is_empty(), "{:?}", verdict.out_of_order);
        assert!(missing <= damaged, "{missing} are missing and only {damaged} are counted");
        if missing > 0 {
            losses += 1;
            let log = gateway.log()[said_before..].to_lowercase();
            assert!(log.contains("damage"), "{missing} are missing, and the log is silent:\n{log}");
        }
    }
    assert!(losses > 0, "no damage of {ROUNDS} cost anything: it did not hit the records");
}
