//! How many commands ended how.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::outcome::Status;

/// The counts since the gateway started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CommandCounts {
    /// Messages that came from the cloud.
    pub received: u64,
    /// Of these, commands whose id was known already; they were not carried out again.
    pub duplicates: u64,
    /// Confirmed by the device.
    pub done: u64,
    /// Delivered to local subscribers.
    pub delivered: u64,
    /// Too old to be carried out.
    pub expired: u64,
    /// Never to be carried out as they stood.
    pub rejected: u64,
    /// Tried without success.
    pub failed: u64,
    /// Perhaps carried out.
    pub unknown: u64,
    /// Outcomes that the queue did not take, and that are therefore not reported.
    pub unreported: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub received: AtomicU64,
    pub duplicates: AtomicU64,
    pub unreported: AtomicU64,
    done: AtomicU64,
    delivered: AtomicU64,
    expired: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, status: Status) {
        let counter = match status {
            Status::Done => &self.done,
            Status::Delivered => &self.delivered,
            Status::Expired => &self.expired,
            Status::Rejected => &self.rejected,
            Status::Failed => &self.failed,
            Status::Unknown => &self.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> CommandCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CommandCounts {
            received: read(&self.received),
            duplicates: read(&self.duplicates),
            done: read(&self.done),
            delivered: read(&self.delivered),
            expired: read(&self.expired),
            rejected: read(&self.rejected),
            failed: read(&self.failed),
            unknown: read(&self.unknown),
            unreported: read(&self.unreported),
        }
    }
}
