//! Damage of every kind to the store's files: it opens, what is shown is right, what is missing
//! is reported.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::*;

/// Numbers 0..EXPORTED are in the export, EXPORTED..PUT came after it.
const EXPORTED: u32 = 60;
const PUT: u32 = 80;

/// A store with an export and later commits, as a crash leaves it.
fn crashed_store() -> TempDir {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        for number in 0..EXPORTED {
            put(&state, number).await;
        }
        state.close().await;
        let (state, _) = open(dir.path());
        for number in EXPORTED..PUT {
            put(&state, number).await;
        }
        copy_of(dir.path())
    })
}

/// Opens the damaged store and checks every promise. Gives back how it opened.
fn open_damaged(dir: &Path, what: &str) -> RecoveryOutcome {
    block_on(async {
        let (state, recovery) = open(dir);
        let found = numbers(&state).await;
        let expected: Vec<u32> = match recovery.outcome {
            RecoveryOutcome::Intact => (0..PUT).collect(),
            RecoveryOutcome::Rebuilt => {
                assert_eq!(recovery.commits_lost, u64::from(PUT - EXPORTED), "{what}: {recovery}");
                (0..EXPORTED).collect()
            }
            RecoveryOutcome::RolledBack => {
                let lost = u32::try_from(recovery.commits_lost).unwrap();
                assert!((1..=PUT - EXPORTED).contains(&lost), "{what}: {recovery}");
                (0..PUT - lost).collect()
            }
            other => panic!("{what}: {other:?}: {recovery}"),
        };
        assert_eq!(found, expected, "{what}: {recovery}");
        assert_eq!(recovery.is_clean(), state.epoch().await.unwrap() == 1, "{what}");
        put(&state, 1_000).await;
        state.close().await;

        let (state, again) = open(dir);
        assert_eq!(again.outcome, RecoveryOutcome::Intact, "{what}: {again}");
        assert_eq!(numbers(&state).await.last(), Some(&1_000), "{what}");
        state.close().await;
        recovery.outcome
    })
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn relative_files(dir: &Path) -> Vec<PathBuf> {
    let below = files_below(&dir.join("state"));
    below.iter().map(|path| path.strip_prefix(dir).unwrap().to_owned()).collect()
}

#[test]
fn a_store_opens_after_any_of_its_files_is_deleted_emptied_or_cut() {
    let original = crashed_store();
    for file in relative_files(original.path()) {
        let length = fs::metadata(original.path().join(&file)).unwrap().len();
        let deleted = copy_of(original.path());
        fs::remove_file(deleted.path().join(&file)).unwrap();
        open_damaged(deleted.path(), &format!("{} deleted", file.display()));
        for keep in [0, 1, 8, 9, length / 3, length / 2, length.saturating_sub(1)] {
            let cut = copy_of(original.path());
            let path = cut.path().join(&file);
            OpenOptions::new().write(true).open(path).unwrap().set_len(keep).unwrap();
            open_damaged(cut.path(), &format!("{} cut to {keep} of {length}", file.display()));
        }
    }
}

#[test]
fn a_store_opens_after_any_stretch_of_its_files_is_zeroed_flipped_or_filled() {
    let original = crashed_store();
    let mut outcomes = Vec::new();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for file in relative_files(original.path()) {
        let used = used_bytes(&original.path().join(&file));
        for round in 0..24 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (random >> 20) % used.max(1);
            let what = format!("{} round {round} at {at} of {used}", file.display());
            let damaged = copy_of(original.path());
            let path = damaged.path().join(&file);
            match round % 3 {
                0 => overwrite(&path, at, 1, |byte| byte ^ (1 << (random % 8))),
                1 => overwrite(&path, at, 4096, |_| 0),
                _ => overwrite(&path, at, 64, |_| 0xFF),
            }
            outcomes.push(open_damaged(damaged.path(), &what));
        }
    }
    assert!(outcomes.contains(&RecoveryOutcome::Rebuilt), "nothing was damaged: {outcomes:?}");
}

/// sled's file is long and mostly empty: the bytes up to the last that is not zero.
fn used_bytes(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

fn overwrite(path: &Path, at: u64, length: usize, change: impl Fn(u8) -> u8) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut bytes = vec![0; length];
    let length = file.read_at(&mut bytes, at).unwrap();
    bytes.truncate(length);
    let bytes: Vec<u8> = bytes.into_iter().map(change).collect();
    file.write_all_at(&bytes, at).unwrap();
}

/// What sled would do if it lost or mixed up rows without noticing.
fn behind_its_back(dir: &Path, change: impl Fn(&sled::Db)) {
    let db = sled::open(dir.join("state")).unwrap();
    change(&db);
    db.flush().unwrap();
}

#[test]
fn rows_that_sled_lost_or_changed_in_silence_are_noticed() {
    type Change = fn(&sled::Db);
    let changes: [(&str, Change); 3] = [
        ("a row lost", |db| drop(db.pop_max().unwrap())),
        ("a row changed", |db| {
            let (key, value) = db.last().unwrap().unwrap();
            let changed: Vec<u8> = value.iter().map(|byte| byte ^ 4).collect();
            db.insert(key, changed).unwrap();
        }),
        ("the account of the rows lost", |db| drop(db.pop_min().unwrap())),
    ];
    let original = crashed_store();
    for (what, change) in changes {
        let damaged = copy_of(original.path());
        behind_its_back(damaged.path(), change);
        assert_eq!(open_damaged(damaged.path(), what), RecoveryOutcome::Rebuilt);
    }
}

#[test]
fn a_store_whose_folder_is_gone_comes_back_from_its_export() {
    let dir = crashed_store();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    assert_eq!(open_damaged(dir.path(), "folder gone"), RecoveryOutcome::Rebuilt);
}

#[test]
fn a_folder_that_is_a_file_is_put_aside() {
    let dir = crashed_store();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    fs::write(dir.path().join("state"), b"not a folder").unwrap();
    assert_eq!(open_damaged(dir.path(), "a file"), RecoveryOutcome::Rebuilt);
}

#[test]
fn a_store_without_anything_left_is_empty_and_says_what_it_lost() {
    let dir = crashed_store();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    fs::remove_file(dir.path().join("state.export")).unwrap();
    block_on(async {
        let (state, recovery) = open(dir.path());
        assert_eq!(recovery.outcome, RecoveryOutcome::Rebuilt);
        assert!(recovery.commits_lost >= u64::from(PUT), "{recovery}");
        assert!(numbers(&state).await.is_empty());
        assert_eq!(state.epoch().await, Ok(2));
    });
}

#[test]
fn a_damaged_export_gives_back_the_rows_whose_checksum_is_right_and_counts_the_others() {
    let dir = crashed_store();
    let export = dir.path().join("state.export");
    overwrite(&export, fs::metadata(&export).unwrap().len() / 2, 1, |byte| !byte);
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    block_on(async {
        let (state, recovery) = open(dir.path());
        assert!(recovery.rows_lost >= 1, "{recovery}");
        let found = numbers(&state).await.len() as u64;
        assert_eq!(found + recovery.rows_lost, u64::from(EXPORTED), "{recovery}");
    });
}

#[test]
fn an_older_store_put_back_in_place_is_recognised() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        put(&state, 0).await;
        let older = copy_of(dir.path());
        put(&state, 1).await;
        let newer = copy_of(dir.path());
        fs::remove_dir_all(newer.path().join("state")).unwrap();
        fs::rename(older.path().join("state"), newer.path().join("state")).unwrap();
        let (after, recovery) = open(newer.path());
        assert_eq!(recovery.outcome, RecoveryOutcome::RolledBack);
        assert_eq!(recovery.commits_lost, 1);
        assert_eq!(numbers(&after).await, [0]);
        assert_eq!(after.epoch().await, Ok(2));
    });
}

#[test]
fn damaged_stores_are_kept_up_to_a_limit() {
    let dir = crashed_store();
    for _ in 0..5 {
        fs::write(dir.path().join("state/db"), b"rubbish").unwrap();
        block_on(async {
            let (state, recovery) = open(dir.path());
            assert_eq!(recovery.outcome, RecoveryOutcome::Rebuilt, "{recovery}");
            state.close().await;
        });
    }
    let kept = |n: u32| dir.path().join(format!("state.damaged-{n}")).exists();
    assert_eq!([1, 2, 3, 4, 5].map(kept), [false, false, true, true, true]);
}

#[test]
fn a_store_that_never_comes_back_from_opening_is_given_up() {
    let dir = crashed_store();
    let files = crate::files::Files::new(dir.path());
    (0..3).for_each(|before| assert_eq!(files.begin_attempt().unwrap(), before));
    assert_eq!(open_damaged(dir.path(), "three attempts"), RecoveryOutcome::Rebuilt);
    assert!(!dir.path().join("state.opening").exists());
}

#[test]
fn openings_that_a_restart_of_the_machine_ended_do_not_count() {
    let dir = crashed_store();
    fs::write(dir.path().join("state.opening"), "3 another-boot").unwrap();
    assert_eq!(open_damaged(dir.path(), "three starts"), RecoveryOutcome::Intact);
}

#[test]
fn a_snapshot_that_sled_was_killed_at_is_not_taken_for_damage() {
    let dir = crashed_store();
    fs::write(dir.path().join("state/snap.00000000FFFFFFFF.generating"), b"torn").unwrap();
    assert_eq!(open_damaged(dir.path(), "unfinished snapshot"), RecoveryOutcome::Intact);
}
