//! Disks that fail.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Instant,
};

use super::*;

async fn put_until_it_succeeds(state: &State, number: u32) {
    let give_up = Instant::now() + Duration::from_secs(20);
    let table = state.table("t");
    while let Err(error) = table.put(&number.to_be_bytes(), value(number)).await {
        assert!(error.is_worth_a_retry() && Instant::now() < give_up, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_store_is_written_anew() {
    static FAILING: AtomicBool = AtomicBool::new(false);
    fn sync(file: &File) -> io::Result<()> {
        if FAILING.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        file.sync_data()
    }
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = State::open(dir.path(), Options { sync, ..options() });
        put(&state, 1).await;
        FAILING.store(true, Ordering::SeqCst);
        let failed = state.table("t").put(b"lost", vec![]).await;
        assert!(matches!(failed, Err(StateError::Storage(_))), "{failed:?}");
        assert!(state.table("t").get(b"lost").await.is_err());
        FAILING.store(false, Ordering::SeqCst);
        put_until_it_succeeds(&state, 2).await;
        state.table("t").delete(b"lost").await.unwrap();
        assert!(dir.path().join("state.damaged-1").exists());

        let crashed = copy_of(dir.path());
        let (after, recovery) = open(crashed.path());
        assert!(recovery.is_clean(), "{recovery}");
        assert_eq!(numbers(&after).await, [1, 2]);
    });
}

#[test]
fn a_store_that_is_closed_after_a_failed_sync_is_written_anew_first() {
    static FAILING: AtomicBool = AtomicBool::new(false);
    fn sync(file: &File) -> io::Result<()> {
        if FAILING.swap(false, Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        file.sync_data()
    }
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = State::open(dir.path(), Options { sync, ..options() });
        put(&state, 1).await;
        FAILING.store(true, Ordering::SeqCst);
        assert!(state.table("t").put(&2u32.to_be_bytes(), value(2)).await.is_err());
        state.close().await;
        assert!(dir.path().join("state.damaged-1").exists());
        let (after, recovery) = open(dir.path());
        assert!(recovery.is_clean(), "{recovery}");
        assert_eq!(numbers(&after).await.first(), Some(&1));
    });
}

#[test]
fn a_data_directory_that_cannot_be_written_makes_the_store_unavailable_and_no_more() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("data");
    fs::write(&dir, b"in the way").unwrap();
    block_on(async {
        let (state, recovery) = open(&dir);
        assert_eq!(recovery.outcome, RecoveryOutcome::Unavailable);
        let refused = state.table("t").get(b"x").await;
        assert!(matches!(refused, Err(StateError::Storage(_))), "{refused:?}");
        fs::remove_file(&dir).unwrap();
        put_until_it_succeeds(&state, 1).await;
        assert_eq!(numbers(&state).await, [1]);
    });
}

#[test]
fn a_store_that_another_process_holds_is_not_taken_for_damaged() {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (first, _) = open(dir.path());
        put(&first, 1).await;
        let (second, recovery) = open(dir.path());
        assert_eq!(recovery.outcome, RecoveryOutcome::Unavailable, "{recovery}");
        assert!(!dir.path().join("state.damaged-1").exists());
        put(&first, 2).await;
        first.close().await;
        put_until_it_succeeds(&second, 3).await;
        assert_eq!(numbers(&second).await, [1, 2, 3]);
    });
}

#[test]
fn every_write_is_synced_to_the_db_file_before_it_is_acknowledged() {
    /// The inode that was synced last.
    static SYNCED: AtomicU64 = AtomicU64::new(0);
    fn sync(file: &File) -> io::Result<()> {
        file.sync_data()?;
        SYNCED.store(file.metadata()?.ino(), Ordering::SeqCst);
        Ok(())
    }
    let dir = TempDir::new().unwrap();
    block_on(async {
        let (state, _) = State::open(dir.path(), Options { sync, ..options() });
        let db_file = fs::metadata(dir.path().join("state/db")).unwrap().ino();
        for number in 0..10 {
            SYNCED.store(0, Ordering::SeqCst);
            put(&state, number).await;
            assert_eq!(SYNCED.load(Ordering::SeqCst), db_file, "{number}");
        }
    });
}
