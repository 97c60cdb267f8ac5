use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    config::stream::EVENTS,
    demo::recorder::{Arrival, Records},
    queue::{Counts, Ledger, SourceLedger, StreamLedger},
};

fn entry(accepted: u64, delivered: u64, queued: u64) -> Entry {
    Entry {
        stream: "telemetry".to_owned(),
        source: "w1".to_owned(),
        accepted,
        delivered,
        queued,
        expired: 0,
        evicted: 0,
        damaged: 0,
    }
}

/// Arrivals as (sequence in the stream, the device's own number).
fn arrivals(all: &[(u64, u64)]) -> Vec<Arrival> {
    all.iter()
        .map(|(sequence, sample)| Arrival {
            id: format!("gw/telemetry/{sequence}"),
            sample: Some(*sample),
        })
        .collect()
}

fn account(entry: Entry, arrived: &[(u64, u64)], acknowledged: Option<&[u64]>) -> Account {
    let records = Records {
        arrivals: BTreeMap::from([("w1".to_owned(), arrivals(arrived))]),
        ..Records::default()
    };
    let acknowledged =
        acknowledged.map(|all| ("w1".to_owned(), all.to_vec())).into_iter().collect();
    accounts(&[entry], &records, &acknowledged).remove(0)
}

fn evidence(accounts: Vec<Account>) -> Evidence {
    Evidence {
        accounts,
        expected_sources: vec!["w1".to_owned()],
        outcome: Some(json!({"id": "c", "status": "done", "readback": 42})),
        commanded: 42.0,
        register: (420, Some(420)),
        backlog: 10,
        acknowledged_in_outage: 10,
        arrived_in_outage: 0,
        unreadable: (0, Vec::new()),
    }
}

fn kept() -> Evidence {
    evidence(vec![account(entry(3, 3, 0), &[(0, 0), (1, 1), (2, 2)], Some(&[0, 1, 2]))])
}

#[test]
fn a_run_in_which_everything_arrived_breaks_no_promise() {
    assert_eq!(findings(&kept()), []);
}

#[test]
fn an_acknowledged_sample_that_did_not_arrive_is_lost_and_named() {
    let account = account(entry(3, 3, 0), &[(0, 0), (2, 2), (3, 2)], Some(&[0, 1, 2]));
    assert_eq!((account.lost, account.missing_example), (1, Some(1)));
    let broken = findings(&evidence(vec![account]));
    assert!(matches!(&broken[..], [Broken::Lost { lost: 1, .. }]), "{broken:?}");
}

#[test]
fn an_accepted_reading_that_neither_arrived_nor_is_explained_is_lost() {
    let short = account(entry(5, 5, 0), &[(0, 0), (1, 1), (3, 3), (4, 4)], None);
    assert_eq!(short.lost, 1);
    let queued = account(entry(5, 4, 1), &[(0, 0), (1, 1), (3, 3), (4, 4)], None);
    assert_eq!(queued.lost, 0);
}

#[test]
fn duplicates_are_counted_and_are_no_breach() {
    // Sequence 1 was sent twice by the uplink; sample 2 was sent twice by the sensor.
    let account =
        account(entry(4, 4, 0), &[(0, 0), (1, 1), (1, 1), (2, 2), (3, 2)], Some(&[0, 1, 2]));
    assert_eq!((account.arrived, account.duplicates, account.lost), (4, 2, 0));
    assert_eq!(findings(&evidence(vec![account])), []);
}

#[test]
fn a_resumed_connection_may_repeat_but_not_overtake() {
    let repeated = account(entry(4, 4, 0), &[(0, 0), (1, 1), (0, 0), (1, 1), (2, 2)], Some(&[]));
    assert_eq!(repeated.out_of_order, None);
    let overtaken = account(entry(3, 3, 0), &[(0, 0), (2, 2), (1, 1)], Some(&[]));
    assert_eq!(overtaken.out_of_order.as_deref(), Some("gw/telemetry/1"));
    let by_sequence = account(entry(3, 3, 0), &[(0, 5), (2, 0), (1, 1)], None);
    assert_eq!(by_sequence.out_of_order.as_deref(), Some("gw/telemetry/1"));
}

#[test]
fn a_restarted_adapter_counts_anew_and_is_judged_by_the_queues_sequence() {
    let account = account(entry(4, 4, 0), &[(0, 0), (1, 1), (2, 0), (3, 1)], None);
    assert_eq!((account.out_of_order, account.duplicates), (None, 0));
}

#[test]
fn a_ledger_that_does_not_add_up_is_a_breach() {
    let broken = findings(&evidence(vec![account(entry(3, 1, 1), &[(0, 0), (1, 1)], None)]));
    assert!(
        matches!(&broken[..], [Broken::Unbalanced { accepted: 3, explained: 2, .. }, ..]),
        "{broken:?}"
    );
}

#[test]
fn a_ledger_that_claims_more_delivered_than_arrived_is_a_breach() {
    let account = account(entry(3, 3, 0), &[(0, 0), (1, 1)], Some(&[0, 1]));
    let broken = findings(&evidence(vec![account]));
    let claimed = Broken::DeliveredTooMany { origin: "w1".to_owned(), delivered: 3, arrived: 2 };
    assert!(broken.contains(&claimed), "{broken:?}");
}

#[test]
fn more_arrived_or_acknowledged_than_accepted_is_a_breach() {
    let arrived = account(entry(1, 1, 0), &[(0, 0), (1, 1)], None);
    let broken = findings(&evidence(vec![arrived]));
    assert!(matches!(broken[..], [Broken::ArrivedTooMany { .. }]), "{broken:?}");
    let promised = account(entry(1, 1, 0), &[(0, 0), (0, 1)], Some(&[0, 1]));
    let broken = findings(&evidence(vec![promised]));
    assert!(matches!(broken[..], [Broken::AcknowledgedTooMany { .. }]), "{broken:?}");
}

#[test]
fn a_source_that_never_came_is_a_breach() {
    let mut run = kept();
    run.expected_sources.push("modbus:meter-1".to_owned());
    assert_eq!(findings(&run), [Broken::Silent("modbus:meter-1".to_owned())]);
}

#[test]
fn a_run_without_an_outage_proves_nothing_and_fails() {
    let none = Evidence { backlog: 0, acknowledged_in_outage: 0, ..kept() };
    assert_eq!(findings(&none), [Broken::NotTaken, Broken::NoOutage { arrived: 0, backlog: 0 }]);
    let leaky = Evidence { arrived_in_outage: 1, ..kept() };
    assert_eq!(findings(&leaky), [Broken::NoOutage { arrived: 1, backlog: 10 }]);
}

#[test]
fn a_command_must_be_done_read_back_and_in_the_register() {
    for outcome in [
        None,
        Some(json!({"status": "expired"})),
        Some(json!({"status": "done"})),
        Some(json!({"status": "done", "readback": 41})),
    ] {
        let run = Evidence { outcome, ..kept() };
        let broken = findings(&run);
        assert!(matches!(broken[..], [Broken::Outcome { .. }]), "{broken:?}");
    }
    let run = Evidence { register: (420, Some(1000)), ..kept() };
    assert_eq!(findings(&run), [Broken::Register { expected: 420, seen: Some(1000) }]);
}

#[test]
fn outcomes_are_held_to_their_ledger_by_their_commands_id() {
    let entry = |accepted| Entry {
        stream: EVENTS.to_owned(),
        source: "gateway".to_owned(),
        ..entry(accepted, accepted, 0)
    };
    let outcome = json!({"id": "demo-1", "status": "done"});
    let records = Records { outcomes: vec![outcome.clone(), outcome], ..Records::default() };
    let account = |accepted| accounts(&[entry(accepted)], &records, &BTreeMap::new()).remove(0);
    assert_eq!((account(1).arrived, account(1).duplicates, account(1).lost), (1, 1, 0));
    assert_eq!(account(2).lost, 1);
}

#[test]
fn what_cannot_be_read_is_a_breach() {
    let run = Evidence { unreadable: (2, vec!["t: x".to_owned()]), ..kept() };
    let unreadable = Broken::Unreadable { count: 2, example: "t: x".to_owned() };
    assert_eq!(findings(&run), [unreadable]);
}

#[test]
fn the_ledger_is_read_as_the_queue_writes_it() {
    let counts = Counts {
        accepted: 15,
        delivered: 1,
        queued: 2,
        expired: 3,
        evicted: 4,
        damaged: 5,
        refused: BTreeMap::default(),
    };
    let ledger = Ledger {
        streams: vec![StreamLedger {
            stream: "telemetry".to_owned(),
            total: counts.clone(),
            next_sequence: 15,
            sources: vec![SourceLedger { source: "w1".to_owned(), counts }],
        }],
    };
    let entries = parse(&serde_json::to_vec(&ledger).unwrap()).unwrap();
    assert_eq!(entries, [Entry { expired: 3, evicted: 4, damaged: 5, ..entry(15, 1, 2) }]);
    assert!(parse(b"{}").is_err());
}
