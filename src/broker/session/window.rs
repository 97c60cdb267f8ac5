//! The inflight window: QoS 1 and 2 messages sent and not settled, by packet id.

use std::collections::VecDeque;

use super::Delivery;

/// How far a message has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// PUBLISH sent; PUBACK or PUBREC is awaited.
    Published(Delivery),
    /// PUBREL sent; PUBCOMP is awaited.
    Released,
}

#[derive(Debug)]
struct Slot {
    stage: Stage,
    /// Order of sending.
    sequence: u64,
    /// Sent on an earlier connection, and not yet on this one.
    unsent: bool,
}

/// The window. A packet id is a slot's index plus one, so finding one costs nothing, and ids are
/// used again in the order in which they became free.
#[derive(Debug, Default)]
pub(super) struct Window {
    slots: Vec<Option<Slot>>,
    free: VecDeque<u16>,
    sequence: u64,
    /// Ids to be sent again, in their old order.
    resend: VecDeque<u16>,
    used: usize,
}

impl Window {
    /// Messages sent on this connection and not settled.
    pub fn outstanding(&self) -> usize {
        self.used - self.resend.len()
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes a packet id for a new message; `None` when all 65,535 are in use.
    pub fn insert(&mut self, delivery: Delivery) -> Option<u16> {
        let id = match self.free.pop_front() {
            Some(id) => id,
            None => u16::try_from(self.slots.len() + 1).ok()?,
        };
        let slot =
            Slot { stage: Stage::Published(delivery), sequence: self.sequence, unsent: false };
        self.sequence += 1;
        self.used += 1;
        let index = usize::from(id) - 1;
        if index == self.slots.len() {
            self.slots.push(Some(slot));
        } else {
            self.slots[index] = Some(slot);
        }
        Some(id)
    }

    /// The stage of an id that this connection has seen.
    pub fn stage(&mut self, id: u16) -> Option<&mut Stage> {
        let slot = self.slots.get_mut(usize::from(id).checked_sub(1)?)?.as_mut()?;
        (!slot.unsent).then_some(&mut slot.stage)
    }

    /// Ends an id; it may be used again.
    pub fn remove(&mut self, id: u16) {
        let slot = usize::from(id).checked_sub(1).and_then(|index| self.slots.get_mut(index));
        if slot.and_then(Option::take).is_some() {
            self.used -= 1;
            self.free.push_back(id);
        }
    }

    /// A new connection: everything unsettled is to be sent again [MQTT-4.4.0-1], in order.
    pub fn resume(&mut self) {
        let mut order: Vec<(u64, u16)> = Vec::with_capacity(self.used);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = slot {
                slot.unsent = true;
                order.push((slot.sequence, index as u16 + 1));
            }
        }
        order.sort_unstable();
        self.resend = order.into_iter().map(|(_, id)| id).collect();
    }

    /// The next id to be sent again, and what.
    pub fn peek_resend(&self) -> Option<(u16, &Stage)> {
        let &id = self.resend.front()?;
        self.slots[usize::from(id) - 1].as_ref().map(|slot| (id, &slot.stage))
    }

    /// It was sent.
    pub fn resent(&mut self) {
        if let Some(id) = self.resend.pop_front()
            && let Some(slot) = &mut self.slots[usize::from(id) - 1]
        {
            slot.unsent = false;
        }
    }

    /// It cannot be sent on this connection, and never will be.
    pub fn drop_resend(&mut self) {
        if let Some(id) = self.resend.pop_front() {
            self.remove(id);
        }
    }

    /// Gives back memory when nothing is in flight.
    pub fn shrink(&mut self) {
        if self.used == 0 {
            *self = Self { sequence: self.sequence, ..Self::default() };
        }
    }
}
