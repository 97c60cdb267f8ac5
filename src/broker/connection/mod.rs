//! One connection, from its first byte to its end.
//!
//! [`open`] takes a socket through its CONNECT; [`Driver`] then runs it as one task that reads,
//! submits, acknowledges, delivers and writes side by side, so that a message on its way to the
//! disk, or to a slow subscriber, never keeps the client's own acknowledgements from being read.

mod driver;
mod ending;
mod intake;
mod open;
mod pace;
mod packets;

pub(super) use driver::Driver;
pub(super) use open::{Identity, open};
