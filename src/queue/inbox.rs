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
    closing: bool,
    nudged: bool,
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
        waiting.requests.push(request);
        let first = waiting.requests.len() == 1;
        drop(waiting);
        if first {
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

    /// Waits for requests, at most `patience`, and then another `interval` for company.
    pub(super) fn gather(&self, patience: Duration, interval: Duration) -> Gathered {
        let idle = |waiting: &mut Waiting| {
            waiting.requests.is_empty() && !waiting.closing && !waiting.nudged
        };
        let (mut waiting, _) = self
            .arrived
            .wait_timeout_while(self.waiting(), patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if !interval.is_zero() && !waiting.requests.is_empty() {
            let until = Instant::now() + interval;
            // Company that fills the room need not be waited for any longer.
            while !waiting.closing && self.room.available_permits() > 0 {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                (waiting, _) = self
                    .arrived
                    .wait_timeout(waiting, left.min(COMPANY_POLL))
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
        waiting.nudged = false;
        Gathered { requests: mem::take(&mut waiting.requests), closing: waiting.closing }
    }
}

/// While waiting for company, the room is looked at this often.
const COMPANY_POLL: Duration = Duration::from_millis(5);

/// What a request costs.
pub(super) fn units(records: &[(StreamId, NewRecord)]) -> u32 {
    let units: usize = records
        .iter()
        .map(|(_, record)| 1 + (record.payload.len() + record.topic.len()) / UNIT_BYTES)
        .sum();
    u32::try_from(units).unwrap_or(u32::MAX).min(PENDING_UNITS_MAX)
}
