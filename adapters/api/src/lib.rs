//! What an adapter is: the contract between Holdfast and whatever reads sensors.
//!
//! An [`Adapter`] turns one bus, port or line into [`Reading`]s and carries out [`Command`]s.
//! It knows nothing of MQTT, of the queue or of the cloud: it hands readings to its
//! [`AdapterIo`] and takes commands from it. This crate does no I/O.

mod adapter;
mod command;
mod counters;
mod problem;
mod reading;
mod timestamp;

pub use adapter::{Adapter, AdapterError, AdapterFuture, AdapterIo};
pub use command::{Command, Outcome, PendingCommand};
pub use counters::{Counter, Counters};
pub use problem::Problem;
pub use reading::{DeviceName, InvalidDeviceName, Point, Quality, Reading, Value};
pub use timestamp::{Clock, Timestamp};
