//! Sessions: what the broker keeps of a client, connected or not.
//!
//! The rules are in the pure parts, which know neither sockets nor clocks: [`Outbound`] (what goes
//! to the client and is not acknowledged yet), its [`window`], and [`Inbound`] (QoS 2 messages from
//! the client). [`Session`] puts them behind a lock and lets publishers and the connection wake
//! each other; [`Registry`] knows them by name.

mod delivery;
mod inbound;
mod outbound;
mod registry;
mod shared;
mod window;

#[cfg(test)]
mod tests;

pub(super) use delivery::{Delivery, Routed};
pub(super) use inbound::{Arrival, Inbound};
pub(super) use outbound::{Bounds, Drop, Filled, Link, Offer, Outbound};
pub(super) use registry::{Attach, AttachError, Attached, Registry};
pub(super) use shared::{RetainedCursor, Session, SessionKey, Signals, Subscribed};
