//! Frames: how the bytes of a line fall into units that mean something.
//!
//! A [`Framer`] is fed bytes as they come, in pieces of any size, and told of silences; it
//! yields [`Event`]s. It holds at most one frame, does no I/O and knows no clock. What it
//! cannot use it reports, too: no byte disappears without an event.

mod check;
mod ended;
mod framer;
mod shape;
mod sized;
#[cfg(test)]
mod tests;

pub use framer::{Event, Framer};
pub use shape::{Length, Shape};
