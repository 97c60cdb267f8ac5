//! The uplink: the one connection to the cloud.
//!
//! rumqttc is the pipe ([`link`]); the queue owns what is in flight. Each connection reads every
//! stream from its first unsettled message, so whatever happens to a connection, nothing is lost
//! and at most one window of messages goes up twice, in order.
//!
//! The decisions are pure and take the time as an argument: [`backoff`], [`bucket`], [`window`],
//! [`scheduler`], [`keepalive`], [`caution`], [`profile`], [`topic`], [`encoding`]. The driver ([`Uplink`]) and its sessions
//! do what they say.

mod address;
mod backlog;
pub mod backoff;
pub mod bucket;
pub mod caution;
mod departures;
mod downlink;
mod driver;
pub mod encoding;
mod failure;
pub mod keepalive;
mod lane;
mod link;
mod problem;
pub mod profile;
pub mod scheduler;
mod session;
mod settings;
mod status;
mod subscriptions;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod topic;
pub mod window;

pub use backlog::{Backlog, BacklogError, Outbound};
pub use driver::Uplink;
pub use problem::UplinkConfigError;
pub use settings::check;
pub use status::{State, Status};
