//! The contract between those who bring messages and the entrance.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{broker::Message, queue::Refusal};

/// Who brings a message: the authenticated identity of a device, or `modbus:<device>`,
/// `serial:<device>`, `gateway` for what does not come over MQTT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source(pub Arc<str>);

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Wherever a route sends it, it is synced to disk; it may be acknowledged.
    Accepted,
    /// It was not taken in and must not be acknowledged as if it were.
    Refused(Refusal),
}

/// The verdicts on a batch, one per message and in order.
pub type Submission<'a> = Pin<Box<dyn Future<Output = Vec<Verdict>> + Send + 'a>>;

/// The entrance.
pub trait Door: Send + Sync {
    /// Decides on each message, and resolves when what is accepted is durable. Acknowledge after
    /// this, then [`Door::deliver`].
    fn submit<'a>(&'a self, source: &'a Source, batch: &'a [Message]) -> Submission<'a>;

    /// Hands one accepted message to local subscribers; how many matched.
    fn deliver(&self, message: Message) -> Pin<Box<dyn Future<Output = usize> + Send + '_>>;
}
