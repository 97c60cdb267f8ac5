//! What the transport tests share: an adapter under test, and a line that misbehaves.

#![allow(dead_code, reason = "each test file uses its own part of this")]

mod bench;
mod fault;
mod wire;

pub use bench::{Bench, device, words};
pub use fault::{Fault, Faults};
pub use wire::{Wire, pty};
