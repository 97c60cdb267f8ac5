//! The promises of the state store.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;

use super::{Options, Recovery, RecoveryOutcome, State, StateError};

mod damage;
mod faults;
mod power_cut;
mod random_damage;
mod remains;

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Never exports by itself, so that tests decide when.
fn options() -> Options {
    Options { export_interval: Duration::from_hours(1), ..Options::default() }
}

fn open(dir: &Path) -> (State, Recovery) {
    State::open(dir, options())
}

async fn put(state: &State, number: u32) {
    state.table("t").put(&number.to_be_bytes(), value(number)).await.unwrap();
}

fn value(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize % 7 * 40)
}

/// The numbers of table `t`, each checked against its value.
async fn numbers(state: &State) -> Vec<u32> {
    let table = state.table("t");
    let mut numbers = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = table.scan(after.as_deref(), 17).await.unwrap();
        let Some((last, _)) = page.last() else { return numbers };
        after = Some(last.clone());
        for (key, found) in page {
            let number = u32::from_be_bytes(key.try_into().unwrap());
            assert_eq!(found, value(number), "the value of {number}");
            numbers.push(number);
        }
    }
}

/// What a `kill -9` leaves: the files as they are now, whoever has them open.
pub(crate) fn copy_of(dir: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let target = TempDir::new().unwrap();
    copy(dir, target.path());
    target
}

#[test]
fn what_was_put_is_there_after_closing_and_opening() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, recovery) = open(dir.path());
        assert_eq!(recovery.outcome, RecoveryOutcome::Fresh);
        for number in 0..100 {
            put(&state, number).await;
        }
        state.table("t").delete(&7u32.to_be_bytes()).await.unwrap();
        state.table("u").put(b"", vec![]).await.unwrap();
        state.close().await;
        assert_eq!(state.table("t").get(b"x").await, Err(StateError::Closed));

        let (state, recovery) = open(dir.path());
        assert_eq!(recovery.outcome, RecoveryOutcome::Intact, "{recovery}");
        assert_eq!(numbers(&state).await, (0..100).filter(|n| *n != 7).collect::<Vec<_>>());
        assert_eq!(state.table("u").get(b"").await, Ok(Some(vec![])));
        assert_eq!(state.table("u").get(b"x").await, Ok(None));
        assert_eq!(state.epoch().await, Ok(1));
    });
}

#[test]
fn a_put_that_resolved_survives_a_process_that_never_closes() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        for number in 0..30 {
            put(&state, number).await;
            let crashed = copy_of(dir.path());
            let (after, recovery) = open(crashed.path());
            assert!(recovery.is_clean(), "{recovery}");
            assert_eq!(numbers(&after).await, (0..=number).collect::<Vec<_>>());
            after.close().await;
        }
    });
}

#[test]
fn a_value_as_large_as_allowed_survives_and_a_larger_one_is_refused() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        let table = state.table("large");
        let large: Vec<u8> = (0..262_144u32).map(|n| (n / 3) as u8).collect();
        for key in [b"a", b"b", b"c"] {
            table.put(key, large.clone()).await.unwrap();
        }
        table.put(b"b", b"short".to_vec()).await.unwrap();
        let refused = table.put(b"d", vec![0; 262_145]).await;
        assert_eq!(refused, Err(StateError::TooLarge { key_bytes: 1, value_bytes: 262_145 }));
        assert!(matches!(table.get(&[0; 513]).await, Err(StateError::TooLarge { .. })));

        let crashed = copy_of(dir.path());
        assert_eq!(fs::read_dir(crashed.path().join("state/blobs")).unwrap().count(), 0);
        let (after, recovery) = open(crashed.path());
        assert_eq!(recovery.outcome, RecoveryOutcome::Intact, "{recovery}");
        let found = after.table("large").scan(None, 10).await.unwrap();
        let expected = [(b"a", large.clone()), (b"b", b"short".to_vec()), (b"c", large)];
        assert_eq!(found, expected.map(|(key, value)| (key.to_vec(), value)));
    });
}

#[test]
fn of_writes_to_one_key_that_come_together_the_last_stays() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        let table = state.table("order");
        let puts = (0..20u32).map(|n| {
            let (table, key) = (table.clone(), (n % 5).to_be_bytes());
            async move { table.put(&key, n.to_le_bytes().to_vec()).await }
        });
        let outcomes = futures_util::future::join_all(puts).await;
        assert!(outcomes.iter().all(Result::is_ok));
        for key in 0..5u32 {
            let last = table.get(&key.to_be_bytes()).await.unwrap();
            assert_eq!(last, Some((15 + key).to_le_bytes().to_vec()));
        }
    });
}

#[test]
fn more_writes_than_may_wait_are_held_back_and_all_of_them_done() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        let outcomes = futures_util::future::join_all((0..2_000).map(|n| put(&state, n))).await;
        assert_eq!(outcomes.len(), 2_000);
        let crashed = copy_of(dir.path());
        let (after, recovery) = open(crashed.path());
        assert!(recovery.is_clean(), "{recovery}");
        assert_eq!(numbers(&after).await, (0..2_000).collect::<Vec<_>>());
    });
}

#[test]
fn changes_written_together_are_there_together_after_a_crash() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        let (from, to) = (state.table("from"), state.table("to"));
        for n in 0..20u32 {
            from.put(&n.to_be_bytes(), value(n)).await.unwrap();
        }
        for n in 0..20u32 {
            let key = n.to_be_bytes();
            state.write(vec![from.deleting(&key), to.putting(&key, value(n))]).await.unwrap();
            let crashed = copy_of(dir.path());
            let (after, _) = open(crashed.path());
            let left = after.table("from").scan(None, 100).await.unwrap().len();
            let moved = after.table("to").scan(None, 100).await.unwrap().len();
            assert_eq!((left, moved), (19 - n as usize, n as usize + 1));
            after.close().await;
        }
    });
}

#[test]
fn tables_do_not_see_each_others_entries() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = open(dir.path());
        for (table, key) in [("a", &b"1"[..]), ("ab", b"2"), ("b", b"")] {
            state.table(table).put(key, table.as_bytes().to_vec()).await.unwrap();
        }
        for (table, key) in [("a", &b"1"[..]), ("ab", b"2"), ("b", b"")] {
            let found = state.table(table).scan(None, 10).await.unwrap();
            assert_eq!(found, [(key.to_vec(), table.as_bytes().to_vec())]);
        }
    });
}

#[test]
fn the_export_follows_a_change_without_a_close() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let quick = Options { export_interval: Duration::from_millis(20), ..Options::default() };
        let (state, _) = State::open(dir.path(), quick);
        put(&state, 1).await;
        let exported = || super::export::peek(&dir.path().join("state.export"));
        for _ in 0..500 {
            if exported().is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no export within 5 s");
    });
}
