//! What a scrape looks at, and what it sees.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{Mutex, watch};

use crate::{
    queue::{Health, Queue},
    uplink,
};

/// What a scrape looks at; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sources {
    queue: Queue,
    uplink: Option<watch::Receiver<uplink::Status>>,
    started: Duration,
    /// The queue reads its disk to tell its health. A disk that hangs must hold one thread, not
    /// one for each scrape.
    turn: Arc<Mutex<()>>,
}

/// What the gateway was like at one moment.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) queue: Health,
    pub(super) uplink: Option<uplink::Status>,
    pub(super) now: Instant,
    /// When the gateway was started, since 1970.
    pub(super) started: Duration,
}

impl Sources {
    /// A gateway that starts now; one without an uplink only queues.
    pub fn new(queue: Queue, uplink: Option<watch::Receiver<uplink::Status>>) -> Self {
        // A clock before 1970 is wrong anyway.
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { queue, uplink, started, turn: Arc::default() }
    }

    /// Looks; waits for its turn. None where the look itself failed.
    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let queue = self.queue.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let health = queue.health();
            // Kept until the look is over, also when nobody waits for it any more.
            drop(turn);
            health
        });
        let queue = looked
            .await
            .inspect_err(|error| tracing::error!("the queue's health cannot be told: {error}"))
            .ok()?;
        let uplink = self.uplink.as_ref().map(|status| status.borrow().clone());
        Some(Snapshot { queue, uplink, now: Instant::now(), started: self.started })
    }
}
