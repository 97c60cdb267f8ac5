//! What the transport tests share: an adapter under test, and a line that misbehaves.

mod bench;
mod fault;
mod wire;

pub use bench::{Bench, device, words};
pub use fault::{Fault, Faults};
pub use wire::{Wire, pty};
