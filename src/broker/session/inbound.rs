//! QoS 2 messages from a client: each packet id is taken in once until it is released.

use std::collections::BTreeMap;

/// What a PUBLISH at QoS 2 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Arrival {
    /// New; it is to be taken in.
    New,
    /// Sent again while the first is still on its way to the disk; its PUBREC will come.
    Pending,
    /// Sent again although it is safe; another PUBREC, and nothing else.
    Repeated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    Durable,
}

/// The incoming half of a session. At most 65,535 entries, one per packet id.
#[derive(Debug, Default)]
pub(in crate::broker) struct Inbound {
    received: BTreeMap<u16, Phase>,
}

impl Inbound {
    /// A PUBLISH at QoS 2 came.
    pub fn publish(&mut self, id: u16) -> Arrival {
        match self.received.get(&id) {
            None => {
                self.received.insert(id, Phase::Pending);
                Arrival::New
            }
            Some(Phase::Pending) => Arrival::Pending,
            Some(Phase::Durable) => Arrival::Repeated,
        }
    }

    /// The message is safe; PUBREC goes out.
    pub fn accept(&mut self, id: u16) {
        self.received.insert(id, Phase::Durable);
    }

    /// The message was not taken in; the id is free.
    pub fn refuse(&mut self, id: u16) {
        self.received.remove(&id);
    }

    /// A new connection: what was never decided is not on its way any more.
    pub fn resume(&mut self) {
        self.received.retain(|_, phase| *phase == Phase::Durable);
    }

    /// PUBREL came. Whether the id was known. One that is still pending stays: its sender has no
    /// PUBREC yet and may not release it.
    pub fn release(&mut self, id: u16) -> bool {
        if self.received.get(&id) == Some(&Phase::Durable) {
            self.received.remove(&id);
            return true;
        }
        false
    }
}
