//! One line: an open port or connection, and single transactions on it.

mod open;
mod pace;
mod serial;
mod tcp;
#[cfg(test)]
mod tests;
mod transact;
mod wire;

pub(crate) use open::{Endpoint, Io, Open};
pub(crate) use pace::Pace;
pub(crate) use transact::{Failure, Line, Spent};
