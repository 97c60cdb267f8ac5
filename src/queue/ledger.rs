//! The ledger: accepted = delivered + queued + expired + evicted + damaged, per stream and source.

use std::collections::BTreeMap;

use serde::Serialize;

/// Why a message was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The topic is longer or deeper than the cloud takes, or not one that may be published to.
    TopicInvalid,
    /// The payload is larger than the cloud takes.
    PayloadTooLarge,
    /// The stream is full and its policy is `reject`.
    StreamFull,
    /// The disk could not be written.
    StorageFailed,
}

impl Refusal {
    /// Every reason, in the order of their counts on disk.
    pub const ALL: [Self; 4] =
        [Self::TopicInvalid, Self::PayloadTooLarge, Self::StreamFull, Self::StorageFailed];

    /// The reason as the ledger's JSON and the metrics write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TopicInvalid => "topic_invalid",
            Self::PayloadTooLarge => "payload_too_large",
            Self::StreamFull => "stream_full",
            Self::StorageFailed => "storage_failed",
        }
    }
}

/// The counts of one source in one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Taken in durably.
    pub accepted: u64,
    /// Acknowledged by the cloud.
    pub delivered: u64,
    /// Waiting.
    pub queued: u64,
    /// Too old to be sent.
    pub expired: u64,
    /// Dropped by the stream's `on_full`.
    pub evicted: u64,
    /// Lost to damage of the disk, each named in the log and in quarantine.
    pub damaged: u64,
    /// Not taken in, by reason.
    pub refused: BTreeMap<Refusal, u64>,
}

/// One source's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceLedger {
    /// The device.
    pub source: String,
    /// Its counts.
    #[serde(flatten)]
    pub counts: Counts,
}

/// One stream's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamLedger {
    /// The stream.
    pub stream: String,
    /// The sum over all sources.
    pub total: Counts,
    /// The number that the next record will get: by another path, the count of all accepted.
    pub next_sequence: u64,
    /// Per source, sorted by name.
    pub sources: Vec<SourceLedger>,
}

/// The whole ledger at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Per stream, sorted by name.
    pub streams: Vec<StreamLedger>,
}

impl Counts {
    /// Whether accepted = delivered + queued + expired + evicted + damaged.
    pub fn balances(&self) -> bool {
        self.accepted == self.delivered + self.queued + self.expired + self.evicted + self.damaged
    }
}

impl Ledger {
    /// Whether every source and every stream balances, and every stream's sum agrees with the
    /// number of its records.
    pub fn balances(&self) -> bool {
        self.streams.iter().all(|stream| {
            stream.total.balances()
                && stream.total.accepted == stream.next_sequence
                && stream.sources.iter().all(|source| source.counts.balances())
        })
    }
}
