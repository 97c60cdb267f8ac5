//! Every write may fail; nothing is acknowledged then, and nothing acknowledged is lost.

use std::io::ErrorKind;

use super::harness::{Harness, SMALL, STREAM, sequences};
use crate::{
    AppendError, Condition, OnFull,
    disk::simulated::{Loss, Op},
};

#[test]
fn a_failed_sync_is_survived_by_a_new_segment() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 3, 50);
    queue.disk.fail(Op::Sync, ".seg", ErrorKind::Other, 1);
    assert_eq!(queue.fill("a", 3, 50), vec![3, 4, 5]);
    assert_eq!(sequences(&queue.check()), vec![0, 1, 2, 3, 4, 5]);
    queue.kill();
    queue.disk.power_cut(Loss::Everything, &mut |_| 0);
    queue.open();
    assert_eq!(sequences(&queue.check()), vec![0, 1, 2, 3, 4, 5]);
    assert_eq!(queue.total().damaged, 0);
}

#[test]
fn nothing_is_acknowledged_while_the_disk_fails_and_appends_resume_by_themselves() {
    for op in [Op::Sync, Op::Write, Op::Create, Op::Allocate, Op::Rename, Op::SyncDir] {
        let mut queue = Harness::new(SMALL, OnFull::Reject);
        queue.fill("a", 3, 50);
        // A new segment is needed, so that every kind of operation comes up.
        queue.kill();
        queue.open();
        queue.disk.fail(op, "", ErrorKind::Other, u64::MAX);
        // Longer than the segment that is laid by.
        let record = queue.record("a", vec![b'r'; 20_000]);
        assert_eq!(queue.append(vec![record]), vec![Err(AppendError::StorageFailed)], "{op:?}");
        assert!(matches!(queue.condition(), Condition::WriteFailing(_)), "{op:?}");
        assert_eq!(queue.check().len(), 3, "{op:?}");
        queue.disk.heal();
        assert_eq!(queue.fill("a", 2, 50), vec![3, 4], "{op:?}");
        assert_eq!(queue.condition(), Condition::Healthy, "{op:?}");
        queue.kill();
        queue.disk.power_cut(Loss::Everything, &mut |_| 0);
        queue.open();
        let records = queue.check();
        assert_eq!(sequences(&records), vec![0, 1, 2, 3, 4], "{op:?}");
        assert!(records.iter().all(|record| record.payload.len() == 50), "{op:?}");
    }
}

#[test]
fn a_batch_that_failed_does_not_come_back_once_its_numbers_are_taken() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 3, 50);
    // The bytes reach the disk, the sync says otherwise.
    queue.disk.fail(Op::Sync, "", ErrorKind::Other, 3);
    let record = queue.record("a", "ghost");
    assert_eq!(queue.append(vec![record]), vec![Err(AppendError::StorageFailed)]);
    assert_eq!(queue.fill("b", 1, 5), vec![3]);
    queue.kill();
    queue.open();
    let records = queue.check();
    assert_eq!(sequences(&records), vec![0, 1, 2, 3]);
    assert_eq!(&*records[3].source, "b");
}

#[test]
fn a_full_disk_rejects_drains_and_resumes() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 1, 10);
    let used: usize = queue.disk.paths().iter().map(|path| queue.disk.content(path).len()).sum();
    queue.disk.set_capacity(Some(used));
    let mut accepted = 1;
    loop {
        let record = queue.record("a", vec![b'x'; 1000]);
        match queue.append(vec![record]).remove(0) {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert_eq!(error, AppendError::StreamFull);
                break;
            }
        }
        assert!(accepted < 1000);
    }
    assert_eq!(queue.condition(), Condition::Full);
    // Killed on a full disk, it opens and drains.
    queue.kill();
    queue.open();
    let records = queue.check();
    assert_eq!(records.len(), accepted);
    for record in &records {
        assert!(queue.acknowledge(record.sequence));
    }
    queue.tend();
    assert_eq!(queue.total().queued, 0);
    assert_eq!(queue.fill("a", 1, 10), vec![accepted as u64]);
    assert_eq!(queue.condition(), Condition::Healthy);
    queue.check();
}

#[test]
fn a_full_disk_makes_room_where_the_oldest_may_go() {
    let mut queue = Harness::new(SMALL, OnFull::DropOldest);
    for _ in 0..4 {
        queue.fill("a", 10, 1000);
    }
    let used: usize = queue.disk.paths().iter().map(|path| queue.disk.content(path).len()).sum();
    queue.disk.set_capacity(Some(used));
    for _ in 0..10 {
        queue.fill("b", 10, 1000);
    }
    let total = queue.total();
    assert!(total.evicted > 0);
    assert_eq!(total.accepted, 140);
    assert!(queue.counts_of("a").evicted > 0);
    queue.check();
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_segment_is_full_by_the_streams_policy() {
    for (on_full, outcome) in
        [(OnFull::Reject, Err(AppendError::StreamFull)), (OnFull::DropNewest, Ok(None))]
    {
        let mut queue = Harness::new(SMALL, on_full);
        queue.fill("a", 3, 50);
        queue.disk.fail(Op::Write, ".s", ErrorKind::StorageFull, u64::MAX);
        let record = queue.record("a", "no room");
        assert_eq!(queue.append(vec![record]), vec![outcome]);
        assert_eq!(queue.condition(), Condition::Full);
        queue.disk.heal();
        queue.fill("a", 1, 50);
        assert_eq!(queue.check().len(), 4);
    }
    let mut queue = Harness::new(SMALL, OnFull::DropOldest);
    while queue.shared().state().segments.len() < 4 {
        queue.fill("a", 1, 1000);
    }
    queue.disk.fail(Op::Write, ".s", ErrorKind::StorageFull, 2);
    queue.fill("b", 1, 50);
    assert!(queue.total().evicted > 0);
    assert!(queue.shared().state().segments.len() > 1);
    queue.check();
}

#[test]
fn a_cursor_that_cannot_be_written_is_a_condition_and_keeps_the_files() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for _ in 0..5 {
        queue.fill("a", 10, 1000);
    }
    for record in queue.read_all() {
        queue.acknowledge(record.sequence);
    }
    let segments = queue.shared().state().segments.len();
    queue.disk.fail(Op::Write, "cursor", ErrorKind::Other, u64::MAX);
    queue.tend();
    assert!(matches!(queue.condition(), Condition::CursorFailing(_)));
    assert_eq!(queue.shared().state().segments.len(), segments);
    // That appends succeed does not make the cursor well.
    queue.fill("a", 1, 10);
    assert!(matches!(queue.condition(), Condition::CursorFailing(_)));
    queue.disk.heal();
    queue.tend();
    assert_eq!(queue.condition(), Condition::Healthy);
    assert_eq!(queue.shared().state().segments.len(), 1);
    queue.check();
}

#[test]
fn a_power_cut_before_every_single_change_loses_nothing() {
    // Counts the changes of the whole story first, then cuts before each of them.
    let story = |queue: &mut Harness| {
        let mut promised = Vec::new();
        for round in 0..8 {
            let records = (0..4).map(|_| queue.record("a", vec![round; 700])).collect();
            let outcomes = queue.append(records);
            promised.extend(outcomes.into_iter().filter_map(|outcome| outcome.ok().flatten()));
            for record in queue.read_all().into_iter().take(3) {
                queue.acknowledge(record.sequence);
                promised.retain(|sequence| *sequence != record.sequence);
            }
            queue.tend();
        }
        promised
    };
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    let before = queue.disk.changes();
    story(&mut queue);
    let changes = queue.disk.changes() - before;
    assert!(changes > 40);
    for cut in 0..changes {
        for loss in Loss::ALL {
            let mut queue = Harness::new(SMALL, OnFull::Reject);
            queue.disk.cut_after(cut);
            let promised = story_until_the_cut(&mut queue);
            queue.kill();
            let mut chance = super::harness::Chance(cut);
            queue.disk.power_cut(loss, &mut |bound| chance.below(bound));
            queue.open();
            let there = sequences(&queue.check());
            let lost: Vec<_> = promised.iter().filter(|one| !there.contains(one)).collect();
            assert!(lost.is_empty(), "cut {cut}, {loss:?}: {lost:?} are lost");
        }
    }
}

#[test]
fn a_segment_that_was_begun_and_never_filled_is_replaced() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 3, 50);
    queue.kill();
    queue.open();
    queue.disk.fail(Op::SyncDir, "", ErrorKind::Other, u64::MAX);
    queue.disk.fail(Op::Remove, "00000000000000000003-", ErrorKind::Other, u64::MAX);
    let record = queue.record("a", "refused");
    assert_eq!(queue.append(vec![record]), vec![Err(AppendError::StorageFailed)]);
    queue.kill();
    queue.disk.heal();
    queue.open();
    assert_eq!(queue.shared().state().segments.len(), 2);
    assert_eq!(queue.fill("a", 1, 50), vec![3]);
    for record in queue.check() {
        assert!(queue.acknowledge(record.sequence));
    }
    queue.tend();
    let segments = queue.disk.paths();
    let segments = segments.iter().filter(|path| path.to_string_lossy().ends_with(".seg"));
    assert_eq!(segments.count(), 1);
}

#[test]
fn restarts_do_not_use_up_the_limit() {
    let mut queue = Harness::new(SMALL, OnFull::DropOldest);
    for _ in 0..100 {
        queue.fill("a", 1, 10);
        queue.kill();
        queue.open();
    }
    assert_eq!(queue.check().len(), 100);
}

/// The same story; reading stops when the power is off.
fn story_until_the_cut(queue: &mut Harness) -> Vec<u64> {
    let limits = crate::reader::Limits { records_max: 3, bytes_max: 100_000 };
    let mut promised = Vec::new();
    for round in 0..8 {
        let records = (0..4).map(|_| queue.record("a", vec![round; 700])).collect();
        let outcomes = queue.append(records);
        promised.extend(outcomes.into_iter().filter_map(|outcome| outcome.ok().flatten()));
        let Ok(chunk) = crate::reader::read(queue.shared(), 0, limits) else {
            return promised;
        };
        for record in chunk.records {
            queue.acknowledge(record.sequence);
            promised.retain(|sequence| *sequence != record.sequence);
        }
        queue.tend();
    }
    promised
}

#[test]
fn a_stream_that_cannot_be_written_says_so_until_a_write_succeeds() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 5, 100);
    queue.disk.fail(Op::Write, ".s", ErrorKind::Other, u64::MAX);
    assert_eq!(queue.append(vec![queue.record("a", "x")]), [Err(AppendError::StorageFailed)]);
    queue.acknowledge(0);
    // The cursor can be written, which tells nothing of the segments.
    queue.tend();
    assert!(matches!(queue.condition(), Condition::WriteFailing(_)));
    queue.disk.heal();
    queue.fill("a", 1, 10);
    assert_eq!(queue.condition(), Condition::Healthy);
}

#[test]
fn what_this_process_may_not_read_is_no_damage_and_no_health_either() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 5, 100);
    for kind in [ErrorKind::PermissionDenied, ErrorKind::OutOfMemory] {
        queue.disk.fail(Op::Read, ".seg", kind, u64::MAX);
        assert!(queue.try_read_from(0).is_err());
        assert!(matches!(queue.condition(), Condition::ReadFailing(_)));
        assert!(!queue.health().is_healthy());
        let folder = queue.folder();
        assert!(folder.verify().is_err() && folder.overview().is_err());
        assert!(folder.records(STREAM, 0).is_err(), "else an export would leave them out");
        queue.disk.heal();
        assert_eq!(queue.check().len(), 5);
        assert_eq!(queue.condition(), Condition::Healthy);
    }
}

#[test]
fn what_a_killed_gateway_wrote_and_did_not_sync_is_synced_before_it_is_handed_out() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 3, 50);
    // The process dies between the write and the sync.
    queue.disk.cut_after(1);
    let records = (0..10).map(|_| queue.record("a", "unsynced")).collect();
    assert!(queue.append(records).iter().all(Result::is_err));
    queue.kill();
    queue.disk.heal();
    queue.open();
    let there = sequences(&queue.check());
    assert_eq!(there.len(), 13, "the write was whole");
    queue.kill();
    queue.disk.power_cut(Loss::Everything, &mut |_| 0);
    queue.open();
    assert_eq!(sequences(&queue.check()), there);
    assert_eq!(queue.total().damaged, 0, "{}", queue.recovery);
}
