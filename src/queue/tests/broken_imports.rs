//! An import that is broken off, on a disk that fails: no record is lost, and none is called taken
//! over that is not there.

use std::{collections::BTreeSet, io::ErrorKind};

use super::{
    harness::{Harness, STREAM},
    imports::{BACKLOG, backlog, gateway, import},
    seeds::{Seeds, Tally},
};
use crate::{
    ImportError, Stored,
    disk::simulated::{Failure, Loss, Op},
};

const FAILURES: [Failure; 4] = [
    Failure::Error(ErrorKind::Other),
    Failure::Error(ErrorKind::StorageFull),
    Failure::Short,
    Failure::Late,
];
/// A failure is one of these, once or lasting.
const WAYS: u64 = FAILURES.len() as u64 * 2;
/// What the gateway takes in between two imports: more than the backlog.
const OWN: usize = 80;
/// A limit at which only a part of the backlog fits.
const TIGHT: u64 = 96 * 1024;
/// What each sweep must come to.
const CASES_MIN: u64 = 80;
/// So that the backlog has several batches and several segments.
const PAYLOAD_BYTES: usize = 4000;

fn another(prepared: &Harness) -> Harness {
    let mut gateway = Harness::on(prepared.disk.duplicate(), prepared.options.clone());
    gateway.close();
    gateway
}

/// An import that ends with the stream full, and a part of the backlog in it.
fn import_until_full(gateway: &mut Harness, backlog: &[Stored]) {
    let roomy = std::mem::replace(&mut gateway.options.bytes_max, TIGHT);
    let error = import(gateway, backlog).unwrap_err();
    assert!(matches!(error, ImportError::Full { .. }), "{error}");
    gateway.options.bytes_max = roomy;
}

/// The gateway runs, takes in records of its own where it can, and is killed.
fn run(gateway: &mut Harness) {
    gateway.open();
    append_own(gateway);
    gateway.kill();
}

fn append_own(gateway: &mut Harness) {
    let own = (0..OWN).map(|number| gateway.record("own", format!("own-{number}"))).collect();
    // On a disk that fails they may all be refused.
    let _ = gateway.append(own);
}

/// The records of the backlog that wait in the gateway's queue.
fn present(gateway: &mut Harness) -> BTreeSet<Vec<u8>> {
    gateway.open();
    let records = gateway.check().into_iter().filter(|record| record.payload.starts_with(b"old-"));
    let present = records.map(|record| record.payload.to_vec()).collect();
    gateway.kill();
    present
}

/// Imports the same again, now that nothing fails, and loses what was not synced: then the old
/// disk may be thrown away.
fn expect_every_record_after_another_import(
    gateway: &mut Harness,
    backlog: &[Stored],
    what: &str,
) -> u64 {
    let before = present(gateway);
    let imported = import(gateway, backlog).unwrap_or_else(|error| panic!("{what}: {error}"));
    let known = imported.known.get(STREAM).copied().unwrap_or(0);
    assert!(known <= before.len() as u64, "{what}: {known} are known, {} there", before.len());
    gateway.disk.power_cut(Loss::Everything, &mut |_| 0);
    let there = present(gateway);
    let missing = backlog.iter().filter(|stored| !there.contains(&*stored.record.payload)).count();
    assert_eq!(missing, 0, "{what}: {missing} of {} are lost, {imported:?}", backlog.len());
    known
}

#[test]
fn what_a_gateway_appends_before_an_import_is_settled_is_never_taken_for_imported() {
    let (backlog, mut gateway) = (backlog(BACKLOG, PAYLOAD_BYTES), gateway());
    import_until_full(&mut gateway, &backlog);
    gateway.disk.fail(Op::Create, "imports.new", ErrorKind::StorageFull, 1);
    run(&mut gateway);
    assert!(gateway.recovery.notes.iter().any(|note| note.contains("imports")));
    let known = expect_every_record_after_another_import(&mut gateway, &backlog, "no space");
    assert!((1..BACKLOG as u64).contains(&known), "what was in is known all the same: {known}");
}

#[test]
fn an_unreadable_file_of_imports_costs_no_record_when_it_is_read_later() {
    let (backlog, mut gateway) = (backlog(BACKLOG, PAYLOAD_BYTES), gateway());
    import_until_full(&mut gateway, &backlog);
    // As often as a read is tried.
    gateway.disk.fail(Op::Read, "/imports", ErrorKind::Other, 3);
    run(&mut gateway);
    assert!(gateway.recovery.notes.iter().any(|note| note.contains("imports")));
    expect_every_record_after_another_import(&mut gateway, &backlog, "unreadable");
}

/// A story with a failure in it.
struct Story<'a> {
    name: &'static str,
    backlog: &'a [Stored],
    /// What comes before anything fails.
    prepare: fn(&mut Harness, &[Stored]),
    /// During which something fails; what comes then may meet with the failure too.
    act: fn(&mut Harness, &[Stored]),
}

impl Story<'_> {
    /// Fails one operation, or all from it on; the gateway runs, once more when nothing fails any
    /// longer, and the import is repeated.
    fn failing(&self, mut gateway: Harness, number: u64) -> Tally {
        let (operation, way) = (number / WAYS, number % WAYS);
        let (failure, lasting) = (FAILURES[(way / 2) as usize], way % 2 == 0);
        let what = format!("{}: {failure:?} at {operation}, lasting: {lasting}", self.name);
        (self.prepare)(&mut gateway, self.backlog);
        gateway.disk.fail_after(operation, failure, lasting);
        (self.act)(&mut gateway, self.backlog);
        run(&mut gateway);
        let struck = gateway.disk.struck();
        gateway.disk.heal();
        run(&mut gateway);
        let known = expect_every_record_after_another_import(&mut gateway, self.backlog, &what);
        let mut tally = Tally::default();
        // What healed the disk may have come first.
        if let Some((op, _)) = struck {
            tally.count(format!("at {op:?}"));
            tally.count(if known > 0 { "some were known" } else { "none was known" });
        }
        tally
    }

    fn tell(&self) {
        let prepared = gateway();
        let mut whole = another(&prepared);
        (self.prepare)(&mut whole, self.backlog);
        let before = whole.disk.changes();
        (self.act)(&mut whole, self.backlog);
        run(&mut whole);
        let operations = whole.disk.changes() - before;
        let seeds = Seeds::numbers(operations * WAYS);
        let tally = seeds.run(self.name, |number| self.failing(another(&prepared), number));
        println!("{}: {} failures: {tally}", self.name, tally.of("at"));
        if !seeds.partial {
            assert!(tally.of("at") >= CASES_MIN, "{tally}");
            assert!(tally.of("some were known") > 0, "{tally}");
        }
    }
}

#[test]
fn any_operation_of_an_import_may_fail_and_every_record_arrives() {
    let backlog = &backlog(BACKLOG, PAYLOAD_BYTES);
    let (name, prepare) = ("any_operation_of_an_import", |_: &mut Harness, _: &[Stored]| {});
    let acts: [fn(&mut Harness, &[Stored]); 3] = [
        |gateway, backlog| {
            // The failure may come behind it, in what the gateway does then.
            let _ = import(gateway, backlog);
        },
        |gateway, backlog| {
            let _ = import(gateway, backlog);
            gateway.disk.heal();
        },
        |gateway, backlog| {
            let _ = import(gateway, backlog);
            gateway.disk.heal();
            gateway.disk.fail(Op::Create, "imports.new", ErrorKind::StorageFull, 1);
        },
    ];
    for act in acts {
        Story { name, backlog, prepare, act }.tell();
    }
}

#[test]
fn any_operation_of_the_opening_after_an_import_may_fail_and_every_record_arrives() {
    let backlog = &backlog(BACKLOG, PAYLOAD_BYTES);
    let act = |gateway: &mut Harness, _: &[Stored]| {
        gateway.open();
        gateway.disk.heal();
        append_own(gateway);
        gateway.kill();
    };
    let (name, prepare) = ("any_operation_of_the_opening_after", import_until_full);
    Story { name, backlog, prepare, act }.tell();
}

#[test]
fn a_batch_whose_sync_failed_and_that_is_seen_all_the_same_is_made_durable_or_taken_again() {
    let (backlog, prepared) = (backlog(BACKLOG, 10), gateway());
    let mut gateway = another(&prepared);
    gateway.disk.fail(Op::Sync, ".seg", ErrorKind::Other, u64::MAX);
    gateway.disk.fail(Op::Sync, ".spare", ErrorKind::Other, u64::MAX);
    import(&gateway, &backlog).unwrap_err();
    gateway.disk.heal();
    // The system still shows what it did not write.
    run(&mut gateway);
    gateway.disk.power_cut(Loss::Everything, &mut |_| 0);
    expect_every_record_after_another_import(&mut gateway, &backlog, "sync");
}
