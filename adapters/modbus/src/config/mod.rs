//! `[[modbus]]`: what an operator writes, and every problem in it.

mod bus;
mod check;

mod device;
mod point;
mod problem;
mod resolve;
#[cfg(test)]
mod tests;

pub use bus::{Config, Parity};
pub use device::Device;
pub use point::{Number, Point};

pub(crate) use bus::REGISTERS_PER_READ;
pub(crate) use check::compile;
