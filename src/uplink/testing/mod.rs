//! Peers for the uplink's tests: a stream in memory, a scripted cloud, mosquitto, certificates.

mod certificates;
mod cloud;
mod memory;
mod mosquitto;
mod rig;
mod sink;

pub use certificates::{Authority, Files};
pub use cloud::{Acks, Cloud, Script, Seen, Stall};
pub use memory::Memory;
pub use mosquitto::Mosquitto;
pub use rig::{Rig, config, until};
pub use sink::Inbox;
