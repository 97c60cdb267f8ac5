//! What must hold whatever is in a folder.

use std::collections::BTreeMap;

use super::folder::{Folder, Session, new_record};
use crate::{
    AppendError, InspectError, OpenError, Record, record::SEQUENCE_END, segment::GENERATION_END,
};

/// Appended after every opening.
const APPENDED: u64 = 5;
const ROUNDS: u64 = 2;
/// More segments than any input begins.
const GENERATIONS_MAX: u32 = 10_000;

/// Opens the folder, reads everything, appends, acknowledges, opens again.
pub(super) fn examine(folder: &Folder) {
    if look_into(folder).is_none() {
        return;
    }
    let mut known = BTreeMap::new();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut session = match folder.open() {
            Ok(session) => session,
            Err(OpenError::Newer { .. } | OpenError::KeyMissing { .. })
                if folder.may_be_refused() =>
            {
                return;
            }
            Err(error) => panic!("it always opens: {error}"),
        };
        let Some(before) = check(folder, &session, &known) else { return };
        for sequence in &acknowledged {
            assert!(!before.iter().any(|record| record.sequence == *sequence), "{sequence} again");
        }
        append(folder, &mut session, &before, &mut known, round);
        let Some(after) = check(folder, &session, &known) else { return };
        for record in after.iter().step_by(2) {
            if session.acknowledge(record.sequence) {
                assert!(!session.acknowledge(record.sequence), "an acknowledgement counts once");
                known.remove(&record.sequence);
                acknowledged.push(record.sequence);
            }
        }
        session.tend();
        if round % 2 == 0 {
            session.close();
        }
    }
    look_into(folder);
}

/// Looks into the folder without changing anything; `None` where something in it is not
/// to be read.
fn look_into(folder: &Folder) -> Option<()> {
    let changes = folder.disk.changes();
    let ledger = match folder.outside().ledger() {
        Ok(ledger) => ledger,
        Err(InspectError::Io { source, .. }) if folder.may_be_refused() => {
            assert_eq!(source.kind(), std::io::ErrorKind::Unsupported, "{source}");
            return None;
        }
        Err(InspectError::KeyMissing { .. }) if folder.may_be_refused() => return None,
        Err(error) => panic!("it can be inspected: {error}"),
    };
    assert!(ledger.balances(), "on disk: {ledger:#?}");
    let verified = folder.outside().verify();
    assert!(verified.is_ok() || folder.may_be_refused(), "{verified:?}");
    assert_eq!(folder.disk.changes(), changes, "looking changes nothing");
    Some(())
}

/// The ledger balances, what it calls queued can be read, in order, and what was appended is
/// among it as it was.
fn check(
    folder: &Folder,
    session: &Session,
    known: &BTreeMap<u64, Vec<u8>>,
) -> Option<Vec<Record>> {
    let records = match session.read_all() {
        Ok(records) => records,
        Err(_) if folder.may_be_refused() => return None,
        Err(error) => panic!("{error}"),
    };
    let ledger = session.ledger();
    assert!(ledger.balances(), "{ledger:#?}");
    assert_eq!(ledger.streams[0].total.queued, records.len() as u64, "{ledger:#?}");
    assert!(records.is_sorted_by(|a, b| a.sequence < b.sequence), "in order, each once");
    assert!(records.iter().all(|record| record.sequence < session.next()));
    let there: BTreeMap<_, _> =
        records.iter().map(|record| (record.sequence, &record.payload)).collect();
    let mut missing = 0;
    for (sequence, payload) in known {
        match there.get(sequence) {
            Some(found) => assert!(*found == payload, "sequence {sequence} is another record"),
            None => missing += 1,
        }
    }
    // Only a stream's policy may drop what was appended.
    assert!(missing <= ledger.streams[0].total.evicted, "{missing} missing: {ledger:#?}");
    Some(records)
}

fn append(
    folder: &Folder,
    session: &mut Session,
    before: &[Record],
    known: &mut BTreeMap<u64, Vec<u8>>,
    round: u64,
) {
    for number in 0..APPENDED {
        let payload = format!("round {round} number {number}").into_bytes();
        let next = session.next();
        match session.append(vec![new_record("fuzz", payload.clone())]).remove(0) {
            Ok(Some(sequence)) => {
                assert_eq!(sequence, next, "numbers follow one another");
                assert!(before.iter().all(|record| record.sequence < sequence));
                assert!(known.insert(sequence, payload).is_none(), "{sequence} was used twice");
            }
            Ok(None) | Err(AppendError::StreamFull) => {}
            // Whoever forges the highest numbers leaves none.
            Err(AppendError::StorageFailed)
                if next + ROUNDS * APPENDED > SEQUENCE_END
                    || folder.highest_generation() > GENERATION_END - GENERATIONS_MAX => {}
            Err(error) => panic!("nothing is wrong with the disk: {error}"),
        }
    }
}
