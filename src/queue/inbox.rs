//! Where appends wait for the commit thread.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{NewRecord, StreamId, writer::Outcome};

/// What may wait at once, in units of [`UNIT_BYTES`]; whoever brings more waits outside.
pub(super) const PENDING_UNITS_MAX: u32 = 16 * 1024;
/// A record costs one unit for each begun length of this.
const UNIT_BYTES: usize = 1024;
/// So many records are company enough: waiting for more would hardly save a page.
pub(super) const COMPANY_RECORDS: usize = 1024;
/// And so many bytes of topics and payloads.
pub(super) const COMPANY_BYTES: usize = 512 * 1024;

/// One call of append.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) records: Vec<(StreamId, NewRecord)>,
    pub(super) done: oneshot::Sender<Vec<Outcome>>,
    /// Given back when the records are.
    pub(super) permit: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: Vec<Request>,
    /// When the first of them came.
    since: Option<Instant>,
    /// What they bring together.
    records: usize,
    bytes: usize,
    closing: bool,
    nudged: bool,
}

impl Waiting {
    fn is_company_enough(&self) -> bool {
        self.records >= COMPANY_RECORDS || self.bytes >= COMPANY_BYTES
    }
}

/// What the commit thread found.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) requests: Vec<Request>,
    pub(super) closing: bool,
}

/// The requests that wait.
#[derive(Debug)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    pub(super) room: std::sync::Arc<Semaphore>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            room: std::sync::Arc::new(Semaphore::new(PENDING_UNITS_MAX as usize)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a request; gives it back if the queue is closing.
    pub(super) fn leave(&self, request: Request) -> Result<(), Request> {
        let mut waiting = self.waiting();
        if waiting.closing {
            return Err(request);
        }
        waiting.records += request.records.len();
        waiting.bytes +=
            request.records.iter().map(|(_, record)| content_bytes(record)).sum::<usize>();
        waiting.requests.push(request);
        let first = waiting.requests.len() == 1;
        if first {
            waiting.since = Some(Instant::now());
        }
        // Whether anyone waits for company is not known here; in between nobody needs waking.
        let wake = first || waiting.is_company_enough();
        drop(waiting);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Wakes the commit thread for its regular work.
    pub(super) fn nudge(&self) {
        self.waiting().nudged = true;
        self.arrived.notify_one();
    }

    pub(super) fn close(&self) {
        self.waiting().closing = true;
        self.arrived.notify_one();
    }

    /// Nobody takes requests any more: whoever waits, for an outcome or for room, is told that the
    /// queue is closed.
    pub(super) fn abandon(&self) {
        self.room.close();
        let mut waiting = self.waiting();
        waiting.closing = true;
        let left = mem::take(&mut waiting.requests);
        drop(waiting);
        drop(left);
    }

    /// Waits for requests, at most `patience`, and then for company: until `interval` after the
    /// first of them came, or until there are enough of them.
    pub(super) fn gather(&self, patience: Duration, interval: Duration) -> Gathered {
        let idle = |waiting: &mut Waiting| {
            waiting.requests.is_empty() && !waiting.closing && !waiting.nudged
        };
        let (mut waiting, _) = self
            .arrived
            .wait_timeout_while(self.waiting(), patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = waiting.since {
            let lonely = |waiting: &mut Waiting| !waiting.closing && !waiting.is_company_enough();
            (waiting, _) = self
                .arrived
                .wait_timeout_while(waiting, interval.saturating_sub(since.elapsed()), lonely)
                .unwrap_or_else(PoisonError::into_inner);
        }
        waiting.nudged = false;
        waiting.since = None;
        (waiting.records, waiting.bytes) = (0, 0);
        Gathered { requests: mem::take(&mut waiting.requests), closing: waiting.closing }
    }
}

fn content_bytes(record: &NewRecord) -> usize {
    record.payload.len() + record.topic.len()
}

/// What a request costs.
pub(super) fn units(records: &[(StreamId, NewRecord)]) -> u32 {
    let units: usize =
        records.iter().map(|(_, record)| 1 + content_bytes(record) / UNIT_BYTES).sum();
    u32::try_from(units).unwrap_or(u32::MAX).min(PENDING_UNITS_MAX)
}

#[cfg(test)]
mod tests;
