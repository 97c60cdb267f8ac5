//! What the queue says of itself: conditions, rates, forecasts, wear.

use std::{io, time::Duration};

use super::harness::{Harness, SMALL};
use crate::{
    Condition, DiskHealth, LimitReason, OnFull, PAGE_BYTES, StreamHealth,
    disk::simulated::{Op, SimulatedDisk},
    flash_life_years,
};

const MIB: u64 = 1024 * 1024;

fn stream(harness: &Harness) -> StreamHealth {
    harness.health().streams.remove(0)
}

/// Takes in `count` records of 1,000 bytes, one in a batch and one a second.
fn one_a_second(harness: &mut Harness, count: usize) {
    for _ in 0..count {
        harness.fill("a", 1, 1000);
        harness.clock.advance(Duration::from_secs(1));
        harness.tend();
    }
}

#[test]
fn the_hours_left_are_the_room_left_divided_by_the_present_rate() {
    let mut harness = Harness::new(16 * MIB, OnFull::Reject);
    one_a_second(&mut harness, 5);
    assert_eq!(stream(&harness).rates, None, "five seconds tell nothing");
    assert_eq!(stream(&harness).forecast.unwrap().limit_reason, LimitReason::Age);
    one_a_second(&mut harness, 595);
    let health = stream(&harness);
    let rates = health.rates.unwrap();
    assert_eq!((rates.over_seconds, rates.accepted_per_second), (600.0, 1.0));
    assert!((1050.0..1200.0).contains(&rates.accepted_bytes_per_second), "{rates:?}");
    assert!((1050.0..1200.0).contains(&rates.net_bytes_per_second), "{rates:?}");
    let left = health.forecast.unwrap();
    assert_eq!(left.limit_reason, LimitReason::Size);
    let promised = (left.hours_left * 3600.0) as usize;
    assert!((13_000..16_000).contains(&promised), "{left:?}");

    // A segment is begun only where all of it fits, so the end may come one segment early.
    one_a_second(&mut harness, promised - 2 * MIB as usize / 1000);
    assert_eq!(stream(&harness).condition, Condition::Healthy);
    while harness.append(vec![harness.record("a", vec![b'x'; 1000])])[0].is_ok() {
        harness.clock.advance(Duration::from_secs(1));
    }
    let health = stream(&harness);
    assert_eq!(health.condition, Condition::Full);
    assert_eq!(health.forecast.unwrap().hours_left, 0.0);
    let taken_in = health.totals.accepted as usize;
    assert!(taken_in <= 600 + promised, "full no later than was said: {taken_in}, {promised}");
}

#[test]
fn a_stream_that_drains_shrinks_at_a_net_rate() {
    let mut harness = Harness::new(16 * MIB, OnFull::Reject);
    let sequences = harness.fill("a", 1000, 1000);
    harness.tend();
    harness.open();
    for sequence in &sequences[..500] {
        harness.acknowledge(*sequence);
    }
    harness.clock.advance(Duration::from_secs(100));
    let health = stream(&harness);
    let rates = health.rates.unwrap();
    assert_eq!(rates.accepted_per_second, 0.0);
    assert!((-6000.0..-5000.0).contains(&rates.net_bytes_per_second), "{rates:?}");
    assert_eq!(health.totals.queued, 500);
}

#[test]
fn the_age_of_the_oldest_queued_record_is_known_also_after_a_restart() {
    let mut harness = Harness::new(16 * MIB, OnFull::Reject);
    assert_eq!(stream(&harness).oldest_age_millis, None, "nothing is queued");
    harness.fill("a", 1, 100);
    harness.clock.advance(Duration::from_mins(1));
    harness.fill("a", 1, 100);
    harness.clock.advance(Duration::from_secs(5));
    assert_eq!(stream(&harness).oldest_age_millis, Some(65_000));
    harness.acknowledge(0);
    assert_eq!(stream(&harness).oldest_age_millis, Some(5_000));
    harness.close();
    harness.open();
    harness.clock.advance(Duration::from_secs(1));
    let health = stream(&harness);
    assert_eq!(health.oldest_age_millis, Some(6_000));
    let forecast = health.forecast.unwrap();
    assert_eq!(forecast.limit_reason, LimitReason::Age);
    assert!((forecast.hours_left - (30.0 * 24.0 - 6.0 / 3600.0)).abs() < 1e-9, "{forecast:?}");
    harness.acknowledge(1);
    assert_eq!(stream(&harness).forecast, None);
}

#[test]
fn a_disk_that_is_full_before_the_stream_is_the_limit() {
    let disk = SimulatedDisk::default();
    disk.set_capacity(Some(8 * MIB as usize));
    let mut harness = Harness::on(disk, Harness::new(64 * MIB, OnFull::Reject).options);
    one_a_second(&mut harness, 60);
    let health = harness.health();
    assert_eq!(health.streams[0].forecast.unwrap().limit_reason, LimitReason::Disk);
    let DiskHealth { free_bytes, capacity_bytes, flash_life_years: years } = health.disk.unwrap();
    assert_eq!(capacity_bytes, 8 * MIB);
    assert!(free_bytes < 4 * MIB, "{free_bytes}");
    let written = health.streams[0].rates.unwrap().written_bytes_per_second;
    assert_eq!(years, flash_life_years(8 * MIB, written));
    while harness.append(vec![harness.record("a", vec![b'x'; 1000])])[0].is_ok() {}
    let health = stream(&harness);
    assert_eq!(health.condition, Condition::Full);
    let forecast = health.forecast.unwrap();
    assert_eq!((forecast.hours_left, forecast.limit_reason), (0.0, LimitReason::Disk));
}

#[test]
fn a_failing_disk_shows_in_the_health_until_it_is_well_again() {
    let mut harness = Harness::new(SMALL, OnFull::Reject);
    harness.fill("a", 1, 100);
    harness.clock.advance(Duration::from_secs(7));
    assert_eq!(stream(&harness).condition_millis, 7_000);
    harness.disk.fail(Op::Sync, ".s", io::ErrorKind::Other, u64::MAX);
    assert!(harness.append(vec![harness.record("a", "lost")])[0].is_err());
    let health = harness.health();
    assert!(!health.is_healthy());
    assert!(matches!(health.streams[0].condition, Condition::WriteFailing(_)), "{health:?}");
    assert_eq!(health.streams[0].condition_millis, 0);
    harness.clock.advance(Duration::from_secs(30));
    assert_eq!(stream(&harness).condition_millis, 30_000);
    harness.disk.heal();
    harness.fill("a", 1, 100);
    let health = harness.health();
    assert!(health.is_healthy());
    assert_eq!(health.streams[0].condition_millis, 0);
}

#[test]
fn every_page_that_is_written_and_every_sync_is_counted() {
    let mut harness = Harness::new(16 * MIB, OnFull::Reject);
    let before = stream(&harness).wear;
    assert!(before.cursor_bytes >= PAGE_BYTES, "opening writes the cursor");
    harness.fill("a", 100, 256);
    let wear = stream(&harness).wear;
    assert_eq!((wear.commits, wear.committed, wear.records_per_commit()), (1, 100, Some(100.0)));
    assert_eq!(wear.header_bytes, PAGE_BYTES);
    assert_eq!(wear.frame_bytes % PAGE_BYTES, 0);
    let least = 100 * 256;
    assert!((least..least * 3 / 2).contains(&wear.frame_bytes), "{wear:?}");
    // The segment's header, the folder it is in, the batch.
    assert_eq!(wear.syncs - before.syncs, 3);
    assert_eq!(wear.cursor_bytes, before.cursor_bytes);
    harness.fill("a", 1, 256);
    let one_more = stream(&harness).wear;
    assert!(one_more.frame_bytes - wear.frame_bytes <= 2 * PAGE_BYTES);
    assert_eq!((one_more.syncs - wear.syncs, one_more.commits), (1, 2));
    harness.acknowledge(0);
    harness.tend();
    assert_eq!(stream(&harness).wear.cursor_bytes, before.cursor_bytes + PAGE_BYTES);
}

#[test]
fn what_was_turned_away_is_no_part_of_a_commit() {
    let mut harness = Harness::new(SMALL, OnFull::DropNewest);
    while harness.total().evicted == 0 {
        let records = (0..10).map(|_| harness.record("a", vec![b'x'; 1000])).collect();
        harness.append(records);
    }
    let health = stream(&harness);
    assert_eq!(health.wear.committed, health.totals.queued);
    assert_eq!(health.condition, Condition::Full);
}
