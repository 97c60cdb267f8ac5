//! Who gets a message: the one place where publications meet subscriptions. (Skeleton.)
#![expect(
    unused_variables,
    clippy::unused_async,
    missing_debug_implementations,
    reason = "skeleton"
)]

use super::Message;

/// The switchboard; share it in an `Arc`.
pub struct Switchboard;

impl Switchboard {
    /// Gives the message to every matching session (and keeps it if retained); resolves when each
    /// has taken it or been found too slow. How many sessions matched.
    pub async fn publish(&self, message: Message) -> usize {
        unimplemented!()
    }
}
