//! Taking over another queue's backlog: once, whatever happens meanwhile.

use std::collections::BTreeMap;

use super::harness::{Chance, Harness, STREAM, root};
use crate::{
    Import, ImportError, NewRecord, OnFull, OpenError, Origin, Stored, disk::simulated::Loss,
};

/// Ample for everything here.
const ROOMY: u64 = 4 * 1024 * 1024;
pub(super) const BACKLOG: usize = 60;

/// The backlog of an old gateway, with the origins of its records.
pub(super) fn backlog(count: usize, payload_bytes: usize) -> Vec<Stored> {
    let mut old = Harness::new(ROOMY, OnFull::Reject);
    for number in 0..count {
        let padding = ".".repeat(payload_bytes);
        let source = ["a", "b", "c"][number % 3];
        let record = old.record(source, format!("old-{number:05}{padding}"));
        old.append(vec![record]);
        if number % 25 == 24 {
            // A segment more.
            old.kill();
            old.open();
        }
    }
    old.kill();
    old.folder().records(STREAM, 0).unwrap().map(Result::unwrap).collect()
}

fn parts_of(stored: &Stored) -> (Origin, NewRecord) {
    let record = stored.record.clone();
    let origin = Origin { segment: stored.segment, sequence: record.sequence };
    let (source, topic) = (record.source, record.topic);
    (origin, NewRecord { source, topic, payload: record.payload, stamp: record.stamp })
}

/// A gateway that has records of its own and is not running.
pub(super) fn gateway() -> Harness {
    let mut gateway = Harness::new(ROOMY, OnFull::DropOldest);
    gateway.fill("own", 5, 20);
    gateway.close();
    gateway
}

fn open(gateway: &Harness) -> Result<Import, ImportError> {
    Ok(Import::open(&root(), vec![gateway.options.clone()], &gateway.environment())?.0)
}

pub(super) fn import(
    gateway: &Harness,
    backlog: &[Stored],
) -> Result<crate::Imported, ImportError> {
    let mut import = open(gateway)?;
    for stored in backlog {
        let (origin, record) = parts_of(stored);
        import.push(STREAM, origin, record)?;
    }
    import.finish()
}

/// Every record of the backlog waits in the gateway's queue exactly once, as it was.
fn expect_once(gateway: &mut Harness, backlog: &[Stored], what: &str) {
    gateway.open();
    let mut there = BTreeMap::<_, Vec<_>>::new();
    for record in gateway.check() {
        there.entry(record.payload.clone()).or_default().push(record);
    }
    for stored in backlog {
        let copies = there.get(&stored.record.payload).map_or(0, Vec::len);
        assert_eq!(copies, 1, "{what}: {:?} is there {copies} times", stored.record);
        let copy = &there[&stored.record.payload][0];
        assert_eq!(
            (&copy.source, &copy.topic, copy.stamp),
            (&stored.record.source, &stored.record.topic, stored.record.stamp),
            "{what}"
        );
    }
}

#[test]
fn a_backlog_is_taken_over_behind_what_waits_and_counted_under_its_sources() {
    let (backlog, mut gateway) = (backlog(BACKLOG, 10), gateway());
    let imported = import(&gateway, &backlog).unwrap();
    assert_eq!(imported.taken[STREAM], BACKLOG as u64);
    expect_once(&mut gateway, &backlog, "imported");
    let records = gateway.read_all();
    assert!(records[..5].iter().all(|record| &*record.source == "own"));
    let payloads = records[5..].iter().map(|record| &record.payload);
    assert!(payloads.eq(backlog.iter().map(|stored| &stored.record.payload)), "in their order");
    assert_eq!(gateway.counts_of("a").accepted, 20);
    assert_eq!(gateway.counts_of("own").accepted, 5);
}

#[test]
fn what_was_taken_over_before_is_not_taken_again() {
    let (backlog, mut gateway) = (backlog(BACKLOG, 10), gateway());
    import(&gateway, &backlog[..40]).unwrap();
    gateway.open();
    // Delivered or not makes no difference.
    for record in gateway.read_all().iter().take(20) {
        assert!(gateway.acknowledge(record.sequence));
    }
    gateway.close();
    let imported = import(&gateway, &backlog[10..]).unwrap();
    assert_eq!((imported.taken[STREAM], imported.known[STREAM]), (20, 30));
    let again = import(&gateway, &backlog).unwrap();
    assert_eq!(again.taken.get(STREAM), None);
    assert_eq!(again.known[STREAM], BACKLOG as u64);
    gateway.open();
    assert_eq!(gateway.total().accepted, 5 + BACKLOG as u64);
}

#[test]
fn a_running_gateway_keeps_an_import_out() {
    let mut gateway = gateway();
    gateway.open();
    let error = open(&gateway).unwrap_err();
    assert!(matches!(error, ImportError::Open(OpenError::InUse(_))), "{error}");
}

#[test]
fn a_full_stream_stops_an_import_and_gives_up_nothing_for_it() {
    let (backlog, mut gateway) = (backlog(BACKLOG, 4000), gateway());
    let roomy = std::mem::replace(&mut gateway.options.bytes_max, 150 * 1024);
    let error = import(&gateway, &backlog).unwrap_err();
    assert!(matches!(error, ImportError::Full { .. }), "{error}");
    gateway.open();
    assert_eq!(gateway.total().evicted, 0);
    assert_eq!(gateway.counts_of("own").queued, 5);
    gateway.close();
    gateway.options.bytes_max = roomy;
    import(&gateway, &backlog).unwrap();
    expect_once(&mut gateway, &backlog, "with room");
}

#[test]
fn a_record_that_no_segment_can_hold_is_refused_by_name() {
    let (backlog, mut gateway) = (backlog(3, 40_000), gateway());
    gateway.options.bytes_max = 64 * 1024;
    let error = import(&gateway, &backlog).unwrap_err();
    assert!(matches!(error, ImportError::TooLong { sequence: 0, .. }), "{error}");
}

#[test]
fn a_damaged_file_of_imports_stops_the_import_and_not_the_gateway() {
    let (backlog, mut gateway) = (backlog(BACKLOG, 10), gateway());
    import(&gateway, &backlog).unwrap();
    let path = root().join("imports");
    let mut content = gateway.disk.content(&path);
    content[25] ^= 4;
    gateway.disk.set_content(&path, &content);
    let error = import(&gateway, &backlog).unwrap_err();
    assert!(matches!(error, ImportError::Journal { .. }), "{error}");
    gateway.open();
    assert_eq!(gateway.check().len(), 5 + BACKLOG);
    assert!(gateway.recovery.notes.iter().any(|note| note.contains("imports")));
}

/// What happens between the breaking off of an import and the next try.
fn meanwhile(gateway: &mut Harness, chance: &mut Chance) {
    match chance.below(4) {
        0 => {}
        1 => {
            gateway.open();
            gateway.close();
        }
        2 => {
            gateway.open();
            gateway.fill("own", 1 + chance.below(80) as usize, 20);
            gateway.kill();
        }
        _ => {
            gateway.open();
            gateway.fill("own", 3, 20);
            gateway.kill();
            gateway.disk.power_cut(Loss::Everything, &mut |_| 0);
            gateway.open();
            gateway.close();
        }
    }
}

#[test]
fn a_power_cut_at_any_moment_of_an_import_neither_loses_nor_doubles_a_record() {
    let backlog = backlog(BACKLOG, 30);
    let prepared = gateway();
    let whole = Harness::on(prepared.disk.duplicate(), prepared.options.clone());
    drop(whole);
    let mut cuts = 0;
    for (number, loss) in Loss::ALL.into_iter().enumerate() {
        for after in 0..60 {
            for seed in 0..2 {
                let mut chance = Chance(after * 100 + seed * 10 + number as u64);
                let mut gateway = Harness::on(prepared.disk.duplicate(), prepared.options.clone());
                gateway.close();
                gateway.disk.cut_after(after);
                cuts += usize::from(import(&gateway, &backlog).is_err());
                gateway.disk.power_cut(loss, &mut |bound| chance.below(bound));
                meanwhile(&mut gateway, &mut chance);
                let what = format!("{loss:?} after {after} changes, seed {seed}");
                let imported = import(&gateway, &backlog);
                imported.unwrap_or_else(|error| panic!("{what}: {error}"));
                expect_once(&mut gateway, &backlog, &what);
            }
        }
    }
    assert!(cuts > 100, "only {cuts} imports were cut off");
}

#[test]
fn a_batch_that_was_seen_after_a_kill_and_not_synced_is_not_lost_in_a_later_power_cut() {
    let (backlog, prepared) = (backlog(BACKLOG, 10), gateway());
    let mut seen = 0;
    for after in 0..30 {
        let mut gateway = Harness::on(prepared.disk.duplicate(), prepared.options.clone());
        gateway.close();
        gateway.disk.cut_after(after);
        let killed = import(&gateway, &backlog).is_err();
        // Only the process is gone: what it wrote is there, synced or not.
        gateway.disk.heal();
        gateway.open();
        seen += usize::from(killed && gateway.check().len() > 5);
        gateway.kill();
        gateway.disk.power_cut(Loss::Everything, &mut |_| 0);
        import(&gateway, &backlog).unwrap();
        expect_once(&mut gateway, &backlog, &format!("killed after {after} changes"));
    }
    assert!(seen > 0, "no kill came between a batch's write and the import's end");
}
