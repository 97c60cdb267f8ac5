//! Limits of size and age, and what the ledger says about them.

use std::time::Duration;

use super::harness::{Harness, SMALL, sequences};
use crate::{AppendError, Condition, OnFull, Refusal};

#[test]
fn drop_oldest_evicts_whole_segments_and_counts_only_what_was_not_delivered() {
    let mut queue = Harness::new(SMALL, OnFull::DropOldest);
    queue.fill("a", 10, 100);
    queue.fill("b", 10, 100);
    queue.read_all();
    for sequence in [0, 3, 12] {
        assert!(queue.acknowledge(sequence));
    }
    while queue.total().evicted == 0 {
        queue.fill("c", 10, 1000);
    }
    assert_eq!(queue.counts_of("a").evicted, 8);
    assert_eq!(queue.counts_of("a").delivered, 2);
    assert_eq!(queue.counts_of("b").evicted, 9);
    assert!(queue.shared().state().disk_bytes() <= SMALL);
    queue.check();
    queue.kill();
    queue.open();
    queue.check();
    assert_eq!(queue.counts_of("a").evicted, 8);
}

#[test]
fn drop_newest_counts_what_it_dropped_before_it_says_so() {
    let mut queue = Harness::new(SMALL, OnFull::DropNewest);
    let mut dropped = 0;
    for _ in 0..300 {
        let record = queue.record("a", vec![b'x'; 1000]);
        match queue.append(vec![record]).remove(0) {
            Ok(Some(_)) => assert_eq!(dropped, 0),
            Ok(None) => dropped += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(dropped > 0);
    assert_eq!(queue.total().evicted, dropped);
    queue.kill();
    queue.disk.power_cut(crate::disk::simulated::Loss::Everything, &mut |_| 0);
    queue.open();
    let records = queue.check();
    assert_eq!(queue.total().evicted, dropped);
    assert_eq!(queue.total().accepted, 300);
    for record in &records {
        queue.acknowledge(record.sequence);
    }
    queue.tend();
    assert_eq!(queue.fill("a", 1, 10), vec![300]);
    assert_eq!(sequences(&queue.check()), vec![300]);
}

#[test]
fn reject_refuses_and_keeps_everything() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    let mut accepted = 0;
    while queue.shared().state().next < 500 {
        let record = queue.record("a", vec![b'x'; 1000]);
        match queue.append(vec![record]).remove(0) {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert_eq!(error, AppendError::StreamFull);
                break;
            }
        }
    }
    assert!((80..130).contains(&accepted), "{accepted}");
    assert!(queue.shared().state().disk_bytes() <= SMALL);
    assert_eq!(queue.check().len(), accepted);
    assert_eq!(queue.total().evicted, 0);
}

#[test]
fn expired_records_are_passed_over_and_counted_once() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.options.age_max = Duration::from_mins(1);
    queue.open();
    queue.fill("a", 3, 10);
    queue.clock.advance(Duration::from_secs(40));
    queue.fill("b", 2, 10);
    queue.clock.advance(Duration::from_secs(30));
    assert_eq!(sequences(&queue.read_all()), vec![3, 4]);
    assert_eq!(sequences(&queue.read_all()), vec![3, 4]);
    assert_eq!(queue.counts_of("a").expired, 3);
    queue.close();
    queue.open();
    assert_eq!(sequences(&queue.check()), vec![3, 4]);
    assert_eq!(queue.counts_of("a").expired, 3);
}

#[test]
fn segments_in_which_everything_is_too_old_are_given_up_unread() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.options.age_max = Duration::from_mins(1);
    queue.open();
    for _ in 0..4 {
        queue.fill("a", 10, 1000);
    }
    let bytes = queue.shared().state().disk_bytes();
    queue.clock.advance(Duration::from_secs(61));
    queue.tend();
    assert!(queue.total().expired >= 20, "{:?}", queue.total());
    assert!(queue.shared().state().segments.len() == 1);
    assert!(queue.shared().state().disk_bytes() <= bytes);
    queue.check();
}

#[test]
fn the_disk_is_given_back_after_draining() {
    let mut queue = Harness::new(16 * SMALL, OnFull::Reject);
    while queue.shared().state().segments.len() < 6 {
        queue.fill("a", 50, 1000);
    }
    for record in queue.read_all() {
        queue.acknowledge(record.sequence);
    }
    queue.tend();
    let state = queue.shared().state();
    assert_eq!(state.segments.len(), 1);
    // The one being written and two spares.
    assert!(state.disk_bytes() <= 3 * 256 * 1024);
}

#[test]
fn refusals_are_counted_by_reason_and_kept() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    {
        let mut state = queue.shared().state();
        let id = state.accounts.id("a");
        state.accounts.refuse(id, Refusal::PayloadTooLarge);
        state.changes += 1;
    }
    queue.tend();
    queue.kill();
    queue.open();
    assert_eq!(queue.counts_of("a").refused[&Refusal::PayloadTooLarge], 1);
    queue.check();
}

#[test]
fn a_record_that_can_never_fit_is_refused_alone() {
    let mut queue = Harness::new(SMALL, OnFull::DropOldest);
    while queue.shared().state().segments.len() < 4 {
        queue.fill("b", 1, 1000);
    }
    let next = queue.shared().state().next;
    let records = vec![
        queue.record("a", "first"),
        queue.record("a", vec![0; SMALL as usize]),
        queue.record("a", "last"),
    ];
    let outcomes = queue.append(records);
    let too_long = Err(AppendError::StreamFull);
    assert_eq!(outcomes, vec![Ok(Some(next)), too_long, Ok(Some(next + 1))]);
    assert_eq!(queue.total().evicted, 0);
}

#[test]
fn a_record_longer_than_a_segment_gets_one_of_its_own() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 1, 10);
    queue.fill("a", 1, 40_000);
    queue.fill("a", 1, 10);
    let records = queue.check();
    assert_eq!(records[1].payload.len(), 40_000);
    queue.kill();
    queue.open();
    assert_eq!(queue.check().len(), 3);
}

/// The last published segment is settled as far as anyone knows, and holds the batch's beginning.
#[test]
fn a_batch_over_several_segments_keeps_the_one_that_it_began_in() {
    for on_full in [OnFull::Reject, OnFull::DropOldest, OnFull::DropNewest] {
        let mut queue = Harness::new(SMALL / 2, on_full);
        queue.fill("a", 100, 60);
        for record in queue.read_all() {
            assert!(queue.acknowledge(record.sequence));
        }
        queue.tend();
        let records = (0..60).map(|_| queue.record("b", vec![b'x'; 900])).collect();
        let taken: Vec<_> = queue.append(records).into_iter().flatten().flatten().collect();
        assert!(taken.len() > 40, "{on_full:?}: {}", taken.len());
        if on_full == OnFull::DropOldest {
            assert_eq!(queue.check().len() as u64 + queue.total().evicted, 60);
        } else {
            assert_eq!(sequences(&queue.check()), taken, "{on_full:?}");
        }
        queue.kill();
        queue.open();
        queue.check();
    }
}

/// Makes the oldest segment say that it is of a later version.
fn make_the_oldest_newer(queue: &Harness) {
    let oldest = queue.shared().state().segments[0].name;
    let path = queue.shared().dir.join(oldest.file_name());
    let mut content = queue.disk.content(&path);
    let length = u32::from_le_bytes(content[12..16].try_into().unwrap()) as usize;
    content[8] = 9;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&content[..16]), &content[20..length]);
    content[16..20].copy_from_slice(&checksum.to_le_bytes());
    queue.disk.set_content(&path, &content);
}

#[test]
fn a_segment_that_may_not_be_read_is_not_evicted() {
    let mut queue = Harness::new(SMALL, OnFull::DropOldest);
    queue.fill("a", 10, 1000);
    make_the_oldest_newer(&queue);
    let mut accepted = 10;
    let refused = loop {
        let record = queue.record("b", vec![b'x'; 1000]);
        match queue.append(vec![record])[0] {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1000, "it is never full");
    };
    assert_eq!(refused, AppendError::StreamFull);
    assert_eq!(queue.condition(), Condition::Full);
    let total = queue.total();
    assert_eq!((total.accepted, total.queued), (accepted, accepted), "{total:?}");
}

#[test]
fn a_segment_that_may_not_be_read_does_not_expire() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.options.age_max = Duration::from_mins(1);
    queue.open();
    while queue.shared().state().segments.len() < 3 {
        queue.fill("a", 10, 1000);
    }
    make_the_oldest_newer(&queue);
    queue.clock.advance(Duration::from_mins(2));
    queue.tend();
    let total = queue.total();
    assert_eq!((total.queued, total.expired), (total.accepted, 0), "{total:?}");
}
