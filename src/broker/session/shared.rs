//! A session as publishers and its connection share it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;
use tokio::{sync::Notify, time::Instant};

use super::{Bounds, Delivery, Drop, Inbound, Offer, Outbound};
use crate::{
    broker::{
        QoS,
        codec::{Filter, RetainHandling, Will},
    },
    ingest::Source,
};

/// The name of a session. Devices with an authenticated identity have client ids of their own
/// each, so that none can take over another's session; an anonymous one has only its client id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::broker) struct SessionKey {
    pub identity: Option<Arc<str>>,
    pub client_id: Arc<str>,
}

/// What others want of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Signals(u8);

impl Signals {
    /// Something waits in the outbox.
    pub const WORK: Self = Self(1);
    /// Another connection takes the session over.
    pub const TAKEN_OVER: Self = Self(2);
    /// The broker stops.
    pub const SHUTDOWN: Self = Self(4);

    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A subscription's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Subscribed {
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub identifier: Option<u32>,
}

impl Subscribed {
    pub fn new(filter: &Filter, identifier: Option<u32>) -> Self {
        Self {
            qos: filter.qos,
            no_local: filter.no_local,
            retain_as_published: filter.retain_as_published,
            identifier,
        }
    }

    /// Whether retained messages are due for a subscription that is new or not.
    pub fn retained_due(handling: RetainHandling, is_new: bool) -> bool {
        match handling {
            RetainHandling::OnSubscribe => true,
            RetainHandling::OnNewSubscription => is_new,
            RetainHandling::Never => false,
        }
    }
}

/// How far the retained messages of a subscription have been sent. They are read page by page as
/// the client takes them, so that a filter that matches all of them costs no memory.
#[derive(Debug, Clone)]
pub(in crate::broker) struct RetainedCursor {
    pub filter: String,
    pub subscribed: Subscribed,
    /// The last topic sent.
    pub after: Option<Arc<str>>,
}

/// The part of a session behind its lock.
#[derive(Debug)]
pub(in crate::broker) struct State {
    pub outbound: Outbound,
    pub inbound: Inbound,
    pub subscriptions: BTreeMap<String, Subscribed>,
    pub retained: Vec<RetainedCursor>,
    /// A connection serves it.
    pub attached: bool,
    /// It is over: not in the registry, not in the index.
    pub ended: bool,
    /// When a session without a connection is given up.
    pub expires: Option<Instant>,
    /// The will of a connection that is gone, and when it is due.
    pub will: Option<(Instant, Box<Will>)>,
}

/// A session.
pub(in crate::broker) struct Session {
    /// Unique in this process; orders matches.
    pub number: u64,
    pub key: SessionKey,
    /// Who its messages come from.
    pub source: Source,
    state: Mutex<State>,
    signals: AtomicU8,
    waker: AtomicWaker,
    /// Told when the outbox has room again.
    pub room: Notify,
    /// Told when its connection let go of it.
    pub detached: Notify,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Session {
    pub fn new(numbers: &AtomicU64, key: SessionKey, source: Source, bounds: Bounds) -> Self {
        Self {
            number: numbers.fetch_add(1, Ordering::Relaxed),
            key,
            source,
            state: Mutex::new(State {
                outbound: Outbound::new(bounds),
                inbound: Inbound::default(),
                subscriptions: BTreeMap::new(),
                retained: Vec::new(),
                attached: false,
                ended: false,
                expires: None,
                will: None,
            }),
            signals: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            room: Notify::new(),
            detached: Notify::new(),
        }
    }

    /// The client id.
    pub fn client_id(&self) -> &Arc<str> {
        &self.key.client_id
    }

    /// Locks the state. Nothing that can panic halfway runs under the lock, so a poisoned one is
    /// as good as any.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a message and wakes the connection where it must be.
    pub fn offer(&self, delivery: Delivery, now: impl FnOnce() -> Instant) -> Offer {
        let offer = {
            let mut state = self.lock();
            if state.ended {
                return Offer::Dropped(Drop::Away);
            }
            state.outbound.offer(delivery, now)
        };
        if matches!(offer, Offer::Taken(true)) {
            self.signal(Signals::WORK);
        }
        offer
    }

    /// Tells the connection something.
    pub fn signal(&self, signal: Signals) {
        self.signals.fetch_or(signal.0, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Takes what the connection was told since, and arranges for its task to be woken by more.
    pub fn take_signals(&self, waker: &Waker) -> Signals {
        self.waker.register(waker);
        if self.signals.load(Ordering::Acquire) == 0 {
            return Signals(0);
        }
        Signals(self.signals.swap(0, Ordering::AcqRel))
    }

    /// Forgets what an earlier connection was told.
    pub fn clear_signals(&self) {
        self.signals.store(0, Ordering::Release);
    }
}
