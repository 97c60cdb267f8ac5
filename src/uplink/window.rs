//! What is in flight on one connection: sent, and not yet acknowledged by the cloud.
//!
//! Packet identifiers are given out in order and wrap, so an identifier is its place in a FIFO.
//! Acknowledgements may come in any order; a place that is settled is given back once everything
//! before it is settled too. A window lives as long as its connection: what it still holds when
//! the connection ends is simply read from the queue again.
//!
//! A full window takes messages again with the first acknowledgement, though writing many at once
//! would be cheaper: a cloud whose socket gathers small packets (Nagle, mosquitto's default) holds
//! its other acknowledgements back until this side sends something, or 40 ms have passed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The highest packet identifier a window gives out. Those above are for SUBSCRIBE: identifiers
/// in use must differ across all packet types.
pub const PKID_MAX: u16 = 65_000;
/// Places that a window may span for each message it may hold: how far the cloud's
/// acknowledgements may run ahead of one that is missing.
const SPAN_PER_MESSAGE: usize = 8;

/// A message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Which stream it is from, by its place in the uplink's list.
    pub stream: usize,
    /// Its number in that stream.
    pub sequence: u64,
    /// Its size: topic and payload.
    pub bytes: usize,
}

/// Why a connection is not worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// Nothing was acknowledged, though something is in flight.
    Silent,
    /// The oldest message was passed over, while later ones were acknowledged.
    PassedOver(Ticket),
}

#[derive(Debug)]
struct Place {
    ticket: Ticket,
    settled: bool,
}

/// The window.
#[derive(Debug)]
pub struct Window {
    messages_max: usize,
    bytes_max: usize,
    places: VecDeque<Place>,
    /// The packet identifier of the first place.
    first: u16,
    messages: usize,
    bytes: usize,
    /// When the last acknowledgement came, or the first message of a quiet line was sent.
    progress: Instant,
    /// Since when the first place has been passed over.
    passed_over: Option<Instant>,
}

impl Window {
    /// An empty window. A single message may be larger than `bytes_max`: then it travels alone.
    pub fn new(messages_max: u16, bytes_max: usize, now: Instant) -> Self {
        Self {
            messages_max: usize::from(messages_max.clamp(1, PKID_MAX)),
            bytes_max,
            places: VecDeque::new(),
            first: 1,
            messages: 0,
            bytes: 0,
            progress: now,
            passed_over: None,
        }
    }

    /// Lets the window hold this many messages from now on, if it held fewer.
    pub fn widen(&mut self, messages_max: u16) {
        let messages_max = usize::from(messages_max.min(PKID_MAX));
        if messages_max > self.messages_max {
            self.messages_max = messages_max;
        }
    }

    /// Whether a message of this size may be sent now.
    pub fn has_room(&self, bytes: usize) -> bool {
        let span_max = (self.messages_max * SPAN_PER_MESSAGE).min(usize::from(PKID_MAX));
        self.messages == 0 && self.places.len() < span_max
            || self.messages < self.messages_max
                && self.places.len() < span_max
                && self.bytes.saturating_add(bytes) <= self.bytes_max
    }

    /// Takes a message in; its packet identifier.
    ///
    /// # Panics
    /// If the window has no room: identifiers would be given out twice.
    pub fn submit(&mut self, ticket: Ticket, now: Instant) -> u16 {
        assert!(self.has_room(ticket.bytes), "a message is submitted only where there is room");
        if self.messages == 0 {
            self.progress = now;
        }
        let pkid = advance(self.first, self.places.len());
        self.places.push_back(Place { ticket, settled: false });
        self.messages += 1;
        self.bytes += ticket.bytes;
        pkid
    }

    /// Settles what was sent under this packet identifier; `None` where nothing is waiting for
    /// it: an identifier never given out, or acknowledged before.
    pub fn acknowledge(&mut self, pkid: u16, now: Instant) -> Option<Ticket> {
        let index = distance(self.first, pkid)?;
        let place = self.places.get_mut(index).filter(|place| !place.settled)?;
        place.settled = true;
        let ticket = place.ticket;
        self.messages -= 1;
        self.bytes -= ticket.bytes;
        self.progress = now;
        if index > 0 {
            self.passed_over.get_or_insert(now);
        } else {
            self.give_back(now);
        }
        Some(ticket)
    }

    /// Gives back the settled places at the front.
    fn give_back(&mut self, now: Instant) {
        while self.places.front().is_some_and(|place| place.settled) {
            self.places.pop_front();
            self.first = advance(self.first, 1);
        }
        // Settled places behind an open front: the new front is being passed over, from now.
        self.passed_over = (self.places.len() > self.messages).then_some(now);
    }

    /// Whether the connection has failed to acknowledge for longer than `timeout`.
    pub fn overdue(&self, timeout: Duration, now: Instant) -> Option<Overdue> {
        let late = |since: Instant| now.saturating_duration_since(since) >= timeout;
        if self.messages > 0 && late(self.progress) {
            return Some(Overdue::Silent);
        }
        let front = self.places.front()?;
        self.passed_over.is_some_and(late).then_some(Overdue::PassedOver(front.ticket))
    }

    /// When [`Window::overdue`] is worth asking next.
    pub fn deadline(&self, timeout: Duration) -> Option<Instant> {
        if self.messages == 0 {
            return None;
        }
        let since = self.passed_over.map_or(self.progress, |since| since.min(self.progress));
        since.checked_add(timeout)
    }

    /// Messages in flight.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// What is in flight, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Ticket> {
        self.places.iter().filter(|place| !place.settled).map(|place| &place.ticket)
    }
}

/// The identifier `by` places after `pkid`, in 1..=`PKID_MAX`.
fn advance(pkid: u16, by: usize) -> u16 {
    ((usize::from(pkid) - 1 + by) % usize::from(PKID_MAX) + 1) as u16
}

/// How many places `pkid` is after `first`; `None` for what is no identifier of a window.
fn distance(first: u16, pkid: u16) -> Option<usize> {
    if pkid == 0 || pkid > PKID_MAX {
        return None;
    }
    let span = usize::from(PKID_MAX);
    Some((usize::from(pkid) + span - usize::from(first)) % span)
}

#[cfg(test)]
mod tests;
