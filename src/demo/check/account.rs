//! One line of the final table: a source's ledger beside what arrived from it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::Entry;
use crate::{
    config::stream::EVENTS,
    demo::recorder::{Arrival, Records},
};

/// A source's ledger beside what arrived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The gateway's own count.
    pub entry: Entry,
    /// For a sensor: how many of its samples the gateway acknowledged to it.
    pub acknowledged: Option<u64>,
    /// Different messages that arrived, by the gateway's ids.
    pub arrived: u64,
    /// Arrivals that repeat an earlier one, by the gateway's id or the sensor's own number.
    pub duplicates: u64,
    /// Messages the gateway took on that are neither at the cloud nor explained by the ledger.
    pub lost: u64,
    /// The first of the sensor's samples that were acknowledged and did not arrive.
    pub missing_example: Option<u64>,
    /// The first message that arrived before one that the source sent earlier.
    pub out_of_order: Option<String>,
}

/// Makes the account of every source in the ledger; `acknowledged` holds each sensor's samples.
///
/// Outcomes of commands go up as they are, without the gateway's id: in their stream the
/// command's id takes its place.
pub fn accounts(
    entries: &[Entry],
    records: &Records,
    acknowledged: &BTreeMap<String, Vec<u64>>,
) -> Vec<Account> {
    let outcome = |outcome: &Value| Arrival { id: outcome["id"].to_string(), sample: None };
    let outcomes: Vec<Arrival> = records.outcomes.iter().map(outcome).collect();
    let arrivals = |entry: &Entry| {
        let of_source = || records.arrivals.get(&entry.source).map_or(&[][..], Vec::as_slice);
        if entry.stream == EVENTS { &outcomes } else { of_source() }
    };
    let account = |entry: &Entry| {
        account(entry, arrivals(entry), acknowledged.get(&entry.source).map(Vec::as_slice))
    };
    entries.iter().map(account).collect()
}

fn account(entry: &Entry, arrivals: &[Arrival], acknowledged: Option<&[u64]>) -> Account {
    let ids: HashSet<&str> = arrivals.iter().map(|arrival| arrival.id.as_str()).collect();
    let samples: HashSet<u64> = arrivals.iter().filter_map(|arrival| arrival.sample).collect();
    let mut missing: Vec<u64> =
        acknowledged.into_iter().flatten().copied().filter(|n| !samples.contains(n)).collect();
    missing.sort_unstable();

    let arrived = ids.len() as u64;
    // Accepted, not explained by anything that may happen to a message, and not there.
    let shortfall = entry
        .accepted
        .saturating_sub(entry.queued + entry.expired + entry.evicted + entry.damaged)
        .saturating_sub(arrived);
    let different = if acknowledged.is_some() { samples.len() } else { ids.len() };
    Account {
        entry: entry.clone(),
        acknowledged: acknowledged.map(|all| all.len() as u64),
        arrived,
        duplicates: (arrivals.len() - different) as u64,
        lost: shortfall.max(missing.len() as u64),
        missing_example: missing.first().copied(),
        out_of_order: out_of_order(arrivals, acknowledged.is_some()),
    }
}

/// The first arrival that is new and yet older than one before it. Repeats are no breach: after a
/// broken connection the sender starts again from what was not acknowledged.
fn out_of_order(arrivals: &[Arrival], by_sample: bool) -> Option<String> {
    let mut seen = HashSet::new();
    let mut highest = None;
    for arrival in arrivals {
        let number = if by_sample { arrival.sample } else { sequence(&arrival.id) };
        if !seen.insert(number) {
            continue;
        }
        if number < highest {
            return Some(arrival.id.clone());
        }
        highest = number;
    }
    None
}

/// The number at the end of a message's id, which ends with its sequence in the stream.
fn sequence(id: &str) -> Option<u64> {
    id.rsplit(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}
