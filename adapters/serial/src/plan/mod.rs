//! From a configuration to what runs, or to the list of all that is wrong with it.

mod findings;
mod frame;
mod line;
mod parser;
mod point;
#[cfg(test)]
mod tests;

pub use line::{Plan, PortSettings};
