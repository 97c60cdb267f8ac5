//! The gateway's ledger as `holdfast ledger --json` prints it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The counts of a source or a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    pub accepted: u64,
    pub delivered: u64,
    pub queued: u64,
    pub expired: u64,
    pub evicted: u64,
    pub damaged: u64,
    pub refused: BTreeMap<String, u64>,
}

/// One source's line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SourceLedger {
    pub source: String,
    #[serde(flatten)]
    pub counts: Counts,
}

/// One stream's page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StreamLedger {
    pub stream: String,
    pub total: Counts,
    pub next_sequence: u64,
    pub sources: Vec<SourceLedger>,
}

/// The whole ledger.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ledger {
    /// Per stream, sorted by name.
    pub streams: Vec<StreamLedger>,
}

impl Ledger {
    /// The totals of one stream; zeros where there is no such stream.
    pub fn total(&self, stream: &str) -> Counts {
        let page = self.streams.iter().find(|page| page.stream == stream);
        page.map(|page| page.total.clone()).unwrap_or_default()
    }

    /// Panics unless every line balances, and each stream's sums and sequence agree with it.
    #[track_caller]
    pub fn expect_exact(&self) {
        for page in &self.streams {
            let name = &page.stream;
            expect_balance(name, &page.total);
            for line in &page.sources {
                expect_balance(&format!("{name}, {}", line.source), &line.counts);
            }
            let accepted: u64 = page.sources.iter().map(|line| line.counts.accepted).sum();
            assert_eq!(page.total.accepted, accepted, "{name}: the sum over its sources");
            assert_eq!(page.total.accepted, page.next_sequence, "{name}: the next sequence");
        }
    }
}

#[track_caller]
fn expect_balance(line: &str, counts: &Counts) {
    let accounted =
        counts.delivered + counts.queued + counts.expired + counts.evicted + counts.damaged;
    assert_eq!(counts.accepted, accounted, "the ledger of {line} does not balance: {counts:?}");
}
