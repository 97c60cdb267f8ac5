//! What came through the entrance.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Verdict;

/// Counts since the start, over all sources.
#[derive(Debug, Default)]
pub struct IngestCounters {
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl IngestCounters {
    /// Messages taken in, whether a route sent them up or not.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Messages refused; the ledger has the reasons.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, verdicts: &[Verdict]) {
        let accepted = verdicts.iter().filter(|v| **v == Verdict::Accepted).count() as u64;
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.refused.fetch_add(verdicts.len() as u64 - accepted, Ordering::Relaxed);
    }
}
