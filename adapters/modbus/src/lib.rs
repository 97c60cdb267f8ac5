//! Modbus RTU and TCP master that never reports a wrong value as right, and on whose bus a dead
//! device does not hold up the others.
//!
//! From the outside in: [`Config`] is checked and worked out into a `map`; `bus` runs it, one
//! transaction at a time, on a `line` (an open port or connection); `frame` finds the answer in
//! the bytes; `value` makes values of registers. `plan`, `schedule`, `health` and `owed` decide,
//! and do no I/O.

mod adapter;
mod bus;
mod config;
mod counters;
mod frame;
mod health;
mod line;
mod map;
mod owed;
mod plan;
mod schedule;
pub mod simulator;
mod value;

pub use adapter::Modbus;
pub use config::{Config, Device, Number, Parity, Point};
pub use plan::Table;
pub use value::{ByteOrder, Kind};
