//! What the uplink is doing, for whoever wants to know: health probe, status page, log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Counts are published at most this often.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);

/// What the uplink is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started, or stopped.
    Disconnected,
    /// A connection is being made.
    Connecting,
    /// Connected, and subscribed to what the cloud granted.
    Connected,
    /// The last connection failed; the next is tried at this moment.
    BackingOff {
        /// When.
        until: Instant,
    },
    /// The cloud refused this gateway, or this gateway the cloud. Somebody has to act; the next
    /// connection is tried at this moment nevertheless.
    Refused {
        /// When.
        until: Instant,
    },
}

impl State {
    /// Every name that a state can have.
    pub const NAMES: [&str; 5] =
        ["disconnected", "connecting", "connected", "backing_off", "refused"];

    /// The name, as the metrics write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::BackingOff { .. } => "backing_off",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What the uplink is doing, and what it did since the gateway started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// The last failure, with what to do about it.
    pub last_error: Option<Arc<str>>,
    /// Connections that were accepted by the cloud.
    pub connections: u64,
    /// Messages sent, every time counted.
    pub published: u64,
    /// Messages acknowledged by the cloud.
    pub acknowledged: u64,
    /// Messages sent more than once since the gateway started: what the cloud may have twice.
    pub resent: u64,
    /// Topic and payload bytes sent.
    pub bytes: u64,
    /// Messages in flight.
    pub in_flight: usize,
    /// Messages that came down.
    pub received: u64,
    /// Messages that the cloud would not take (too large, no legal topic); they stay in the
    /// queue until they are too old.
    pub unsendable: u64,
    /// Messages set aside because the cloud closed the connection on each attempt; they stay in
    /// the queue and are tried again.
    pub set_aside: u64,
    /// Subscriptions the cloud refused on the present connection.
    pub subscriptions_refused: u64,
}

/// The writing end.
#[derive(Debug)]
pub struct Reporter {
    now: Status,
    channel: watch::Sender<Status>,
    heartbeat: Arc<AtomicU64>,
    published_at: Instant,
}

impl Reporter {
    /// A reporter in the state `Disconnected`.
    pub fn new(now: Instant) -> Self {
        let status = Status {
            state: State::Disconnected,
            since: now,
            last_error: None,
            connections: 0,
            published: 0,
            acknowledged: 0,
            resent: 0,
            bytes: 0,
            in_flight: 0,
            received: 0,
            unsendable: 0,
            set_aside: 0,
            subscriptions_refused: 0,
        };
        let (channel, _) = watch::channel(status.clone());
        Self { now: status, channel, heartbeat: Arc::default(), published_at: now }
    }

    /// The reading end.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.channel.subscribe()
    }

    /// A number that changes at least every second while the uplink is alive.
    pub fn heartbeat(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.heartbeat)
    }

    /// The counts, to be changed; they are published with the next beat or state.
    pub fn counts(&mut self) -> &mut Status {
        &mut self.now
    }

    /// Shows life, and publishes the counts from time to time.
    pub fn beat(&mut self, now: Instant) {
        self.heartbeat.fetch_add(1, Ordering::Relaxed);
        if now.saturating_duration_since(self.published_at) >= PUBLISH_INTERVAL {
            self.publish(now);
        }
    }

    /// Enters a state.
    pub fn enter(&mut self, state: State, now: Instant) {
        self.now.state = state;
        self.now.since = now;
        self.publish(now);
    }

    fn publish(&mut self, now: Instant) {
        self.published_at = now;
        let status = self.now.clone();
        self.channel.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }
}
