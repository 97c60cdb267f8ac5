//! What waits for a client and what it has not acknowledged: the outbox and the inflight window.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;
use tokio::time::Instant;

use super::{
    Delivery,
    window::{Stage, Window},
};
use crate::{
    broker::{
        QoS,
        codec::{self, PublishFrame, Reason, Version},
    },
    config::Limits,
};

/// How long publishers wait for room in a full outbox to come before its client is called slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The bounds of an outbox.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Bounds {
    pub messages_max: usize,
    pub bytes_max: usize,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Self { messages_max: limits.outbox_messages_max.max(1), bytes_max: limits.outbox_bytes_max }
    }
}

/// What the connection allows.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Link {
    pub version: Version,
    /// QoS 1 and 2 messages that may be unsettled.
    pub receive_max: usize,
    /// The largest packet that the client takes.
    pub packet_bytes_max: usize,
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Drop {
    /// QoS 0, and the client is away; MQTT expects no more.
    Away,
    /// The outbox is full.
    Full,
    /// The client was found too slow.
    Slow,
}

/// What became of a message offered to an outbox.
#[derive(Debug)]
pub(in crate::broker) enum Offer {
    /// Taken; `true` where the outbox was empty, so the connection must be woken.
    Taken(bool),
    /// Full; the publisher may wait for room.
    Full(Delivery),
    /// Not taken.
    Dropped(Drop),
}

/// What a call of [`Outbound::fill`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::broker) struct Filled {
    /// Publishers who wait for room may be told that there is some.
    pub room: bool,
    pub sent: u64,
    /// Not sent: their time was over.
    pub expired: u64,
    /// Not sent: larger than the client takes.
    pub too_large: u64,
}

/// The outgoing half of a session.
#[derive(Debug)]
pub(in crate::broker) struct Outbound {
    bounds: Bounds,
    online: bool,
    waiting: VecDeque<Delivery>,
    waiting_bytes: usize,
    window: Window,
    /// Since when the outbox is full and has not drained to half.
    full_since: Option<Instant>,
    slow: bool,
    /// Messages not taken since the client was found slow, or since it went away.
    dropped: u64,
}

impl Outbound {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            online: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            window: Window::default(),
            full_since: None,
            slow: false,
            dropped: 0,
        }
    }

    /// The client is there; what it had not settled is sent again.
    pub fn connect(&mut self) {
        self.online = true;
        self.window.resume();
    }

    /// The client is away: messages at QoS 0 are not kept [MQTT-3.1.2-5].
    pub fn disconnect(&mut self) {
        self.online = false;
        self.slow = false;
        self.full_since = None;
        self.waiting.retain(|delivery| delivery.qos != QoS::AtMostOnce);
        self.waiting_bytes = self.waiting.iter().map(|delivery| delivery.routed.weight).sum();
    }

    /// Messages that wait, beside those in flight.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many messages were not taken since last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Whether it could take this message without being asked to wait; for shared subscriptions.
    pub fn ready(&self) -> bool {
        self.online && !self.slow && self.waiting.len() < self.bounds.messages_max
    }

    pub fn is_online(&self) -> bool {
        self.online
    }

    /// Offers a message.
    pub fn offer(&mut self, delivery: Delivery, now: impl FnOnce() -> Instant) -> Offer {
        let droppable = delivery.qos == QoS::AtMostOnce;
        if !self.online && droppable {
            return Offer::Dropped(Drop::Away);
        }
        if self.slow {
            if !self.half_drained() {
                self.dropped += 1;
                return Offer::Dropped(Drop::Slow);
            }
            self.slow = false;
        }
        if self.is_full_for(delivery.routed.weight) {
            if self.online && !droppable {
                self.full_since.get_or_insert_with(now);
                return Offer::Full(delivery);
            }
            self.dropped += 1;
            return Offer::Dropped(Drop::Full);
        }
        self.waiting_bytes += delivery.routed.weight;
        self.waiting.push_back(delivery);
        Offer::Taken(self.waiting.len() == 1)
    }

    fn is_full_for(&self, weight: usize) -> bool {
        // A message of any weight fits into an empty outbox; its size is bounded at the door.
        !self.waiting.is_empty()
            && (self.waiting.len() >= self.bounds.messages_max
                || self.waiting_bytes + weight > self.bounds.bytes_max)
    }

    fn half_drained(&self) -> bool {
        self.waiting.len() <= self.bounds.messages_max / 2
            && self.waiting_bytes <= self.bounds.bytes_max / 2
    }

    /// When a publisher that found it full stops waiting.
    pub fn patience_ends(&self, now: Instant) -> Instant {
        self.full_since.unwrap_or(now) + PATIENCE
    }

    /// A publisher's patience is over. Whether the client is hereby found slow.
    pub fn give_up(&mut self, now: Instant) -> bool {
        let over = self.full_since.is_some_and(|since| since + PATIENCE <= now);
        if over && !self.slow {
            self.slow = true;
            self.full_since = None;
            return true;
        }
        false
    }

    /// Writes what may be sent until `out` has `out_bytes` or more.
    pub fn fill(
        &mut self,
        link: Link,
        now: Instant,
        out_bytes: usize,
        out: &mut BytesMut,
    ) -> Filled {
        let mut filled = Filled::default();
        self.fill_again(link, now, out_bytes, out, &mut filled);
        while out.len() < out_bytes && self.window.peek_resend().is_none() {
            let Some(next) = self.waiting.front() else { break };
            let counted = next.qos != QoS::AtMostOnce;
            if counted && self.window.outstanding() >= link.receive_max {
                break;
            }
            let Some(delivery) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= delivery.routed.weight;
            if delivery.routed.expired(now) {
                filled.expired += 1;
            } else if self.send(delivery, link, now, out) {
                filled.sent += 1;
            } else {
                filled.too_large += 1;
            }
        }
        if (self.full_since.is_some() || self.slow) && self.half_drained() {
            self.full_since = None;
            self.slow = false;
            filled.room = true;
        }
        filled
    }

    fn send(&mut self, delivery: Delivery, link: Link, now: Instant, out: &mut BytesMut) -> bool {
        if delivery.qos == QoS::AtMostOnce {
            return write(&delivery, 0, false, link, now, out);
        }
        // The receive maximum is checked, and is at most 65,535, so there is an id.
        let Some(id) = self.window.insert(delivery) else { return false };
        let written = match self.window.stage(id) {
            Some(Stage::Published(delivery)) => write(delivery, id, false, link, now, out),
            _ => false,
        };
        if !written {
            self.window.remove(id);
        }
        written
    }

    fn fill_again(
        &mut self,
        link: Link,
        now: Instant,
        out_bytes: usize,
        out: &mut BytesMut,
        filled: &mut Filled,
    ) {
        while out.len() < out_bytes && self.window.outstanding() < link.receive_max {
            let Some((id, stage)) = self.window.peek_resend() else { return };
            let written = match stage {
                Stage::Published(delivery) => write(delivery, id, true, link, now, out),
                Stage::Released => {
                    codec::pubrel(link.version, id, Reason::SUCCESS, out);
                    true
                }
            };
            if written {
                self.window.resent();
            } else {
                self.window.drop_resend();
                filled.too_large += 1;
            }
        }
    }

    /// Takes everything that waits, for a subscriber inside the gateway.
    pub fn take_waiting(&mut self) -> VecDeque<Delivery> {
        self.waiting_bytes = 0;
        self.full_since = None;
        std::mem::take(&mut self.waiting)
    }

    /// PUBACK. Whether the id was known.
    pub fn puback(&mut self, id: u16) -> bool {
        match self.window.stage(id) {
            Some(Stage::Published(delivery)) if delivery.qos == QoS::AtLeastOnce => {
                self.window.remove(id);
                true
            }
            _ => false,
        }
    }

    /// PUBREC. The reason to send back in a PUBREL, if one is to be sent.
    pub fn pubrec(&mut self, id: u16, reason: Reason) -> Option<Reason> {
        match self.window.stage(id) {
            Some(Stage::Published(delivery)) if delivery.qos == QoS::ExactlyOnce => {
                if reason.is_error() {
                    self.window.remove(id);
                    return None;
                }
                if let Some(stage) = self.window.stage(id) {
                    *stage = Stage::Released;
                }
                Some(Reason::SUCCESS)
            }
            Some(Stage::Released) => Some(Reason::SUCCESS),
            _ => Some(Reason::PACKET_ID_NOT_FOUND),
        }
    }

    /// PUBCOMP. Whether the id was known.
    pub fn pubcomp(&mut self, id: u16) -> bool {
        let known = matches!(self.window.stage(id), Some(Stage::Released));
        if known {
            self.window.remove(id);
        }
        known
    }

    /// Gives back memory where nothing waits.
    pub fn shrink(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        if self.window.is_empty() {
            self.window.shrink();
        }
    }
}

fn write(
    delivery: &Delivery,
    id: u16,
    dup: bool,
    link: Link,
    now: Instant,
    out: &mut BytesMut,
) -> bool {
    let frame = PublishFrame {
        message: &delivery.routed.message,
        qos: delivery.qos,
        retain: delivery.retain,
        dup,
        id,
        expiry: delivery.routed.seconds_left(now),
        identifiers: delivery.identifiers(),
    };
    codec::publish(link.version, frame, link.packet_bytes_max, out)
}
