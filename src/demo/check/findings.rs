//! Every promise of the run, and which of them were broken.

use serde_json::Value;
use thiserror::Error;

use super::{Account, Entry};

/// Scaling a register's raw value may leave the last digits of a float off.
const READBACK_TOLERANCE: f64 = 1e-6;

/// What a run yields beside the accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// One account per source and stream.
    pub accounts: Vec<Account>,
    /// Sources from which something must have come.
    pub expected_sources: Vec<String>,
    /// The outcome of the command at the cloud, if it came.
    pub outcome: Option<Value>,
    /// What the command wrote, in the point's unit.
    pub commanded: f64,
    /// What the device's register should hold then, and what it holds.
    pub register: (u16, Option<u16>),
    /// Messages that waited in the gateway when the line was mended.
    pub backlog: u64,
    /// Messages acknowledged to sensors while the line was cut.
    pub acknowledged_in_outage: u64,
    /// Messages that arrived while the line was cut.
    pub arrived_in_outage: u64,
    /// Messages at the cloud that nobody could read, with the first of them.
    pub unreadable: (u64, Vec<String>),
}

/// A promise that was not kept, or a run that did not put it to the test.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Broken {
    /// An acknowledged message is nowhere.
    #[error(
        "an acknowledgement is a promise: accepted from {origin} and not at the cloud: {lost}{example}"
    )]
    Lost {
        /// Whose messages.
        origin: String,
        /// How many.
        lost: u64,
        /// The first of them, as part of the sentence.
        example: String,
    },
    /// The ledger does not add up.
    #[error(
        "every message is accounted for: {origin} in stream {stream}: accepted {accepted}, but delivered, queued, expired, evicted and damaged make {explained}"
    )]
    Unbalanced {
        /// Whose ledger.
        origin: String,
        /// In which stream.
        stream: String,
        /// How many were accepted.
        accepted: u64,
        /// What the rest adds up to.
        explained: u64,
    },
    /// The ledger says more was delivered than the cloud acknowledged.
    #[error(
        "the ledger is exact: delivered from {origin} by the ledger: {delivered}, at the cloud: {arrived}"
    )]
    DeliveredTooMany {
        /// Whose ledger.
        origin: String,
        /// What it says.
        delivered: u64,
        /// What arrived.
        arrived: u64,
    },
    /// The cloud has messages that the ledger does not know.
    #[error(
        "the ledger is exact: accepted from {origin} by the ledger: {accepted}, different ones at the cloud: {arrived}"
    )]
    ArrivedTooMany {
        /// Whose ledger.
        origin: String,
        /// What was accepted.
        accepted: u64,
        /// What arrived.
        arrived: u64,
    },
    /// A sensor was promised more than the gateway says it took.
    #[error(
        "the ledger is exact: accepted from {origin} by the ledger: {accepted}, acknowledged to it: {acknowledged}"
    )]
    AcknowledgedTooMany {
        /// Which sensor.
        origin: String,
        /// Its acknowledgements.
        acknowledged: u64,
        /// What the gateway says.
        accepted: u64,
    },
    /// The order of a source changed on the way.
    #[error("order is kept: message {id} of {origin} arrived after a later one")]
    OutOfOrder {
        /// Whose message.
        origin: String,
        /// The message.
        id: String,
    },
    /// Something arrived that nobody sent in this form.
    #[error("messages at the cloud that could not be read: {count}, the first: {example}")]
    Unreadable {
        /// How many.
        count: u64,
        /// The first.
        example: String,
    },
    /// A source that must have sent something has no line in the ledger.
    #[error("nothing came from {0}: the ledger does not know it, or it accepted nothing")]
    Silent(String),
    /// The command came to nothing.
    #[error(
        "each outcome is reported: the command's outcome should be done with {expected} read back; {seen}"
    )]
    Outcome {
        /// What should have been read back.
        expected: f64,
        /// What came, as part of the sentence.
        seen: String,
    },
    /// The device was not written.
    #[error("a command reaches its device: the register should hold {expected} and holds {seen:?}")]
    Register {
        /// What it should hold.
        expected: u16,
        /// What it holds.
        seen: Option<u16>,
    },
    /// The gateway took nothing in while the line was cut.
    #[error(
        "the local side outlives the uplink: nothing was acknowledged to the sensors during the outage"
    )]
    NotTaken,
    /// There was no outage to speak of.
    #[error(
        "the outage was none: messages that arrived during it: {arrived}, that waited at its end: {backlog}"
    )]
    NoOutage {
        /// What arrived in it.
        arrived: u64,
        /// What waited at its end.
        backlog: u64,
    },
}

/// Everything that is wrong with this run; nothing, if every promise was kept.
pub fn findings(evidence: &Evidence) -> Vec<Broken> {
    let mut broken = Vec::new();
    for account in &evidence.accounts {
        of_account(account, &mut broken);
    }
    for source in &evidence.expected_sources {
        let accepted = |entry: &Entry| entry.source == *source && entry.accepted > 0;
        if !evidence.accounts.iter().any(|account| accepted(&account.entry)) {
            broken.push(Broken::Silent(source.clone()));
        }
    }
    of_outage(evidence, &mut broken);
    of_command(evidence, &mut broken);
    if let (count @ 1.., examples) = &evidence.unreadable {
        let example = examples.first().cloned().unwrap_or_default();
        broken.push(Broken::Unreadable { count: *count, example });
    }
    broken
}

fn of_account(account: &Account, broken: &mut Vec<Broken>) {
    let entry = &account.entry;
    let origin = || entry.source.clone();
    if entry.accepted != entry.explained() {
        broken.push(Broken::Unbalanced {
            origin: origin(),
            stream: entry.stream.clone(),
            accepted: entry.accepted,
            explained: entry.explained(),
        });
    }
    if account.lost > 0 {
        let example = account.missing_example.map(|n| format!(", the first: sample {n}"));
        let example = example.unwrap_or_default();
        broken.push(Broken::Lost { origin: origin(), lost: account.lost, example });
    }
    if entry.delivered > account.arrived {
        let (delivered, arrived) = (entry.delivered, account.arrived);
        broken.push(Broken::DeliveredTooMany { origin: origin(), delivered, arrived });
    }
    if account.arrived > entry.accepted {
        let (accepted, arrived) = (entry.accepted, account.arrived);
        broken.push(Broken::ArrivedTooMany { origin: origin(), accepted, arrived });
    }
    if let Some(acknowledged) = account.acknowledged.filter(|count| *count > entry.accepted) {
        let accepted = entry.accepted;
        broken.push(Broken::AcknowledgedTooMany { origin: origin(), acknowledged, accepted });
    }
    if let Some(id) = account.out_of_order.clone() {
        broken.push(Broken::OutOfOrder { origin: origin(), id });
    }
}

fn of_outage(evidence: &Evidence, broken: &mut Vec<Broken>) {
    if evidence.acknowledged_in_outage == 0 {
        broken.push(Broken::NotTaken);
    }
    if evidence.arrived_in_outage > 0 || evidence.backlog == 0 {
        let (arrived, backlog) = (evidence.arrived_in_outage, evidence.backlog);
        broken.push(Broken::NoOutage { arrived, backlog });
    }
}

fn of_command(evidence: &Evidence, broken: &mut Vec<Broken>) {
    let done = evidence.outcome.as_ref().is_some_and(|outcome| {
        outcome["status"] == "done"
            && outcome["readback"]
                .as_f64()
                .is_some_and(|readback| (readback - evidence.commanded).abs() < READBACK_TOLERANCE)
    });
    if !done {
        let seen = match &evidence.outcome {
            Some(outcome) => format!("what came is {outcome}"),
            None => "none came".to_owned(),
        };
        broken.push(Broken::Outcome { expected: evidence.commanded, seen });
    }
    let (expected, seen) = evidence.register;
    if seen != Some(expected) {
        broken.push(Broken::Register { expected, seen });
    }
}
