//! Records that `drop_newest` drops: counted once, by one write that succeeded or did not.

use std::io::ErrorKind;

use super::harness::{Harness, SMALL};
use crate::{
    AppendError, Condition, OnFull,
    disk::simulated::{Failure, Op},
};

/// A queue with three records on a disk that is full.
fn full() -> Harness {
    let mut queue = Harness::new(SMALL, OnFull::DropNewest);
    queue.fill("a", 3, 50);
    queue.tend();
    queue.disk.fail(Op::Write, ".s", ErrorKind::StorageFull, u64::MAX);
    queue
}

#[test]
fn a_record_that_could_not_be_counted_is_counted_once_when_it_is_sent_again() {
    for op in [Op::Write, Op::Sync] {
        let mut queue = full();
        let before = queue.total();
        queue.disk.fail(op, "cursor", ErrorKind::Other, 3);
        for _ in 0..3 {
            let record = queue.record("a", "no room");
            assert_eq!(queue.append(vec![record]), vec![Err(AppendError::StorageFailed)]);
            assert!(matches!(queue.condition(), Condition::CursorFailing(_)));
            assert_eq!(queue.total(), before);
        }
        let record = queue.record("a", "no room");
        assert_eq!(queue.append(vec![record]), vec![Ok(None)]);
        let total = queue.total();
        assert_eq!((total.accepted, total.evicted), (before.accepted + 1, before.evicted + 1));
        queue.disk.heal();
        queue.kill();
        queue.open();
        assert_eq!(queue.total(), total, "what was acknowledged as dropped stays counted");
        queue.check();
    }
}

/// What the cursor says of the next sequences must not befall the records that get them.
#[test]
fn a_count_that_was_written_and_reported_as_failed_costs_no_record_that_comes_after_it() {
    let mut late = 0;
    for operation in 0..12 {
        for restart in [false, true] {
            let mut queue = full();
            let record = queue.record("a", "no room");
            queue.disk.fail_after(operation, Failure::Late, true);
            let outcome = queue.append(vec![record])[0];
            late += u64::from(outcome == Err(AppendError::StorageFailed));
            queue.disk.heal();
            if restart {
                queue.kill();
                queue.open();
                queue.check();
            }
            let promised = queue.fill("b", 2, 50);
            queue.kill();
            queue.open();
            let there: Vec<_> = queue.check().iter().map(|record| record.sequence).collect();
            assert!(promised.iter().all(|one| there.contains(one)), "{promised:?} of {there:?}");
            let total = queue.total();
            let dropped = u64::from(outcome == Ok(None));
            let doubt = u64::from(restart && outcome.is_err());
            assert!((dropped..=dropped + doubt).contains(&total.evicted), "{total:?}");
        }
    }
    assert!(late > 0);
}
