//! The bus master: one task that owns one port and does one transaction at a time.
//!
//! `master` decides what is done next, `poll` reads a device, `write` carries out a command,
//! `exchange` gets one trustworthy answer, `link` keeps the port open.

mod device;
mod exchange;
mod link;
mod master;
mod pick;
mod poll;
mod reading;
mod write;

pub(crate) use master::Master;
