//! The ledger as `holdfast ledger --json` prints it.

use serde::Deserialize;
use thiserror::Error;

/// The output is not a ledger.
#[derive(Debug, Error)]
#[error("`holdfast ledger --json` printed what is no ledger: {0}")]
pub struct LedgerError(#[from] serde_json::Error);

/// One source's counts in one stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The stream.
    #[serde(skip)]
    pub stream: String,
    /// The device.
    pub source: String,
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
    /// Lost to damage of the disk.
    pub damaged: u64,
}

#[derive(Deserialize)]
struct Ledger {
    streams: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    stream: String,
    sources: Vec<Entry>,
}

/// Reads a ledger: one entry per stream and source.
pub fn parse(json: &[u8]) -> Result<Vec<Entry>, LedgerError> {
    let ledger: Ledger = serde_json::from_slice(json)?;
    Ok(ledger
        .streams
        .into_iter()
        .flat_map(|page| {
            let stream = page.stream;
            page.sources.into_iter().map(move |entry| Entry { stream: stream.clone(), ..entry })
        })
        .collect())
}

impl Entry {
    /// What the entry says has become of the accepted messages.
    pub fn explained(&self) -> u64 {
        self.delivered + self.queued + self.expired + self.evicted + self.damaged
    }
}
