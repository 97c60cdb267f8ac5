//! The local MQTT broker: doors, sessions, and the switchboard behind them.
//!
//! A connection's way: [`listener`] accepts it, [`tls`] and [`auth`] say who is there, a
//! [`connection`] reads its CONNECT and is attached to its [`session`], the [`codec`] reads its
//! packets; what it publishes goes through the entrance ([`crate::ingest::Door`]), and from there
//! by the [`Switchboard`] into the outboxes of the sessions that subscribed.
//!
//! Invariants: a PUBACK or PUBREC is written only after the entrance's verdict. Nothing of one
//! client waits for another, but for the patience of publishers with a full outbox, which is
//! bounded. Locks are never held across an await, and the index's lock is taken before a
//! session's, never after.

mod auth;
mod codec;
mod connection;
mod counters;
mod hub;
mod index;
mod listener;
mod local;
mod message;
mod retained;
mod server;
mod session;
mod switchboard;
mod tls;
pub(crate) mod topic;

#[cfg(test)]
mod tests;

pub use auth::UserError;
pub use counters::{BrokerCounters, BrokerSnapshot};
pub use listener::ListenerError;
pub use local::{FilterError, LocalSubscriber};
pub use message::{Message, Properties, QoS};
pub use server::{Broker, ProbeError, StartError};
pub use switchboard::Switchboard;
pub use tls::TlsError;
