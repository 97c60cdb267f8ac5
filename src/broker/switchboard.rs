//! Who gets a message: the one place where publications meet subscriptions.
//!
//! rumqttd's router was to be behind this file; it cannot be held to the bar (it loses messages in
//! bursts and never gives back the memory of a filter), so here is an index of our own. The rest
//! of the broker would not notice another.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, atomic::AtomicU64};

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::{
    BrokerCounters, Message, QoS,
    index::{Entry, Group, Index, Matches},
    retained::Retained,
    session::{Delivery, Drop, Filled, Link, Offer, Routed, Session, Subscribed},
    topic,
};
use crate::config::Limits;

/// A session whose outbox was full, and what it is to get.
type Owed = (Arc<Session>, Delivery);

/// Retained messages looked up at once for one subscription.
const RETAINED_PAGE: usize = 64;
/// Every how many refusals of a retained message the log says so again.
const RETAINED_LOG_EVERY: u64 = 10_000;

/// The switchboard; share it in an `Arc`.
#[derive(Debug)]
pub struct Switchboard {
    index: RwLock<Index>,
    retained: RwLock<Retained>,
    limits: Limits,
    counters: Arc<BrokerCounters>,
    /// The last number given to a session; it orders matches.
    numbers: Arc<AtomicU64>,
}

impl Switchboard {
    /// An empty one.
    pub fn new(limits: &Limits) -> Self {
        Self {
            index: RwLock::default(),
            retained: RwLock::new(Retained::new(limits)),
            limits: limits.clone(),
            counters: Arc::default(),
            numbers: Arc::default(),
        }
    }

    /// What the broker counts.
    pub fn counters(&self) -> &Arc<BrokerCounters> {
        &self.counters
    }

    /// Subscriptions of all sessions.
    pub fn subscriptions(&self) -> usize {
        self.index().len()
    }

    /// Retained messages.
    pub fn retained_messages(&self) -> usize {
        self.retained.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where sessions get their numbers from.
    pub(super) fn numbers(&self) -> &Arc<AtomicU64> {
        &self.numbers
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the message to every matching session (and keeps it if retained); resolves when each
    /// has taken it or been found too slow. How many sessions matched.
    pub async fn publish(&self, message: Message) -> usize {
        let (matched, full) = self.route(message);
        for (session, delivery) in full {
            self.wait_for_room(&session, delivery).await;
        }
        matched
    }

    /// Offers the message to each session that matches. Those that are full come back with what
    /// they are owed.
    fn route(&self, message: Message) -> (usize, Vec<Owed>) {
        if message.retain {
            let routed = Arc::new(Routed::new(message, Instant::now));
            self.retain(&routed);
            let index = self.index();
            return self.offer_all(&routed, index.matches(&routed.message.topic));
        }
        let index = self.index();
        let matches = index.matches(&message.topic);
        if matches.is_empty() {
            return (0, Vec::new());
        }
        self.offer_all(&Arc::new(Routed::new(message, Instant::now)), matches)
    }

    fn retain(&self, routed: &Arc<Routed>) {
        let stored = self
            .retained
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .store(routed, Instant::now);
        if !stored && self.counters.retained_refused.increment() % RETAINED_LOG_EVERY == 1 {
            warn!(
                topic = &*routed.message.topic,
                "a retained message was not kept: raise limits.retained_messages_max or \
                 limits.retained_bytes_max, or retain less"
            );
        }
    }

    fn offer_all(&self, routed: &Arc<Routed>, mut matches: Matches<'_>) -> (usize, Vec<Owed>) {
        let mut full = Vec::new();
        let publisher = routed.message.publisher.as_deref();
        let own = |entry: &Entry| {
            entry.subscribed.no_local && publisher == Some(&**entry.session.client_id())
        };
        matches.entries.retain(|entry| !own(entry));
        // Subscriptions of one session that overlap become one delivery.
        matches.entries.sort_unstable_by_key(|entry| entry.session.number);
        let mut matched = 0;
        for same in matches.entries.chunk_by(|a, b| a.session.number == b.session.number) {
            matched += 1;
            let delivery = delivery(routed, same.iter().map(|entry| &entry.subscribed));
            self.offer(&same[0].session, delivery, &mut full);
        }
        for group in matches.groups {
            if let Some(entry) = member(group) {
                matched += 1;
                let delivery = delivery(routed, std::iter::once(&entry.subscribed));
                self.offer(&entry.session, delivery, &mut full);
            }
        }
        (matched, full)
    }

    fn offer(&self, session: &Arc<Session>, delivery: Delivery, full: &mut Vec<Owed>) {
        match session.offer(delivery, Instant::now) {
            Offer::Taken(_) => {}
            Offer::Full(delivery) => full.push((session.clone(), delivery)),
            Offer::Dropped(reason) => self.count_drop(reason),
        }
    }

    async fn wait_for_room(&self, session: &Session, mut delivery: Delivery) {
        loop {
            let room = session.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            delivery = match session.offer(delivery, Instant::now) {
                Offer::Taken(_) => return,
                Offer::Dropped(reason) => return self.count_drop(reason),
                Offer::Full(delivery) => delivery,
            };
            let patience_ends = session.lock().outbound.patience_ends(Instant::now());
            if timeout_at(patience_ends, room).await.is_err()
                && session.lock().outbound.give_up(Instant::now())
            {
                warn!(
                    client_id = &**session.client_id(),
                    "the client takes its messages too slowly: until half of its outbox is sent, \
                     further messages for it are dropped and counted"
                );
                session.room.notify_waiters();
            }
        }
    }

    fn count_drop(&self, reason: Drop) {
        match reason {
            Drop::Away => {}
            Drop::Full => self.counters.dropped_full.add(1),
            Drop::Slow => self.counters.dropped_slow.add(1),
        }
    }

    /// Subscribes a session. Whether the subscription is new.
    pub(super) fn subscribe(
        &self,
        session: &Arc<Session>,
        filter: &str,
        subscribed: Subscribed,
    ) -> bool {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.insert(filter, session, subscribed)
    }

    /// Ends a subscription. Whether there was one.
    pub(super) fn unsubscribe(&self, session: &Session, filter: &str) -> bool {
        self.index.write().unwrap_or_else(PoisonError::into_inner).remove(filter, session)
    }

    /// Takes a session that is over out of the index.
    pub(super) fn forget(&self, session: &Session) {
        let subscriptions = std::mem::take(&mut session.lock().subscriptions);
        if subscriptions.is_empty() {
            return;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for filter in subscriptions.keys() {
            index.remove(filter, session);
        }
    }

    /// Moves what may be sent from a session's outbox, and from the retained messages that it is
    /// owed, into `out`.
    pub(super) fn fill(&self, session: &Session, link: Link, out_bytes: usize, out: &mut BytesMut) {
        let now = Instant::now();
        loop {
            let mut state = session.lock();
            let filled = state.outbound.fill(link, now, out_bytes, out);
            let owed = state.outbound.waiting() == 0 && !state.retained.is_empty();
            let dropped = if filled.room { state.outbound.take_dropped() } else { 0 };
            drop(state);
            self.count(session, filled, dropped);
            if !owed || out.len() >= out_bytes {
                return;
            }
            self.page_retained(session, now);
        }
    }

    fn count(&self, session: &Session, filled: Filled, dropped: u64) {
        self.counters.delivered.add(filled.sent);
        self.counters.dropped_expired.add(filled.expired);
        self.counters.dropped_too_large.add(filled.too_large);
        if filled.room {
            session.room.notify_waiters();
        }
        if dropped > 0 {
            info!(client_id = &**session.client_id(), dropped, "a slow client has caught up");
        }
    }

    /// Puts the next retained messages that a session is owed into its outbox.
    fn page_retained(&self, session: &Session, now: Instant) {
        let Some(cursor) = session.lock().retained.first().cloned() else { return };
        let (_, filter) = topic::split_share(&cursor.filter);
        let page = self.retained.read().unwrap_or_else(PoisonError::into_inner).page(
            filter,
            cursor.after.as_deref(),
            RETAINED_PAGE,
            now,
        );
        let mut state = session.lock();
        let last = page.len() < RETAINED_PAGE;
        for routed in page {
            let mut delivery = delivery(&routed, std::iter::once(&cursor.subscribed));
            delivery.retain = true;
            if let Offer::Full(_) = state.outbound.offer(delivery, || now) {
                // The rest follows when this much is sent.
                return;
            }
            // Only this session's connection comes here, so the cursor is still the first.
            if let Some(first) = state.retained.first_mut() {
                first.after = Some(routed.message.topic.clone());
            }
        }
        if last {
            state.retained.remove(0);
        }
    }

    /// Lets go of retained messages whose time is over.
    pub(super) fn forget_expired(&self, now: Instant) {
        self.retained.write().unwrap_or_else(PoisonError::into_inner).forget_expired(now);
    }
}

fn delivery<'a>(
    routed: &Arc<Routed>,
    subscriptions: impl Iterator<Item = &'a Subscribed>,
) -> Delivery {
    let mut qos = QoS::AtMostOnce;
    let mut as_published = false;
    let mut identifiers = Vec::new();
    for subscribed in subscriptions {
        qos = qos.max(subscribed.qos);
        as_published |= subscribed.retain_as_published;
        identifiers.extend(subscribed.identifier);
    }
    Delivery {
        routed: routed.clone(),
        qos: qos.min(routed.message.qos),
        retain: as_published && routed.message.retain,
        identifiers: (!identifiers.is_empty()).then(|| identifiers.into_boxed_slice()),
    }
}

/// The member of a group that takes this message: the next that can, or one that is there, or
/// (so that nothing is lost while all are away) the next.
fn member(group: &Group) -> Option<&Entry> {
    let mut there = None;
    let mut first = None;
    for entry in group.in_turn() {
        let state = entry.session.lock();
        if state.outbound.ready() {
            return Some(entry);
        }
        if state.outbound.is_online() {
            there.get_or_insert(entry);
        }
        first.get_or_insert(entry);
    }
    there.or(first)
}
