//! What the tests stand on: the gateway's binary, real peers, and a network that can fail.

mod certificates;
mod chance;
mod clients;
mod cloud;
mod device;
mod fleet;
mod folder;
mod gateway;
mod ledger;
mod mosquitto;
mod oracle;
mod process;
mod proxy;
mod python;
mod recorder;
mod serial_line;
mod wait;
pub mod wire;

pub use certificates::{Authority, Identity};
pub use chance::Chance;
pub use clients::{Subscriber, mosquitto_pub, mosquitto_pub_succeeds};
pub use cloud::Cloud;
pub use device::DeviceLog;
pub use fleet::{Address, Fleet, Load};
pub use folder::folder;
pub use gateway::{GATEWAY_ID, Gateway, holdfast};
pub use ledger::{Counts, Ledger};
pub use mosquitto::Mosquitto;
pub use oracle::{Verdict, compare};
pub use process::{Process, free_port, resident_bytes};
pub use proxy::{Proxy, Weather};
pub use python::{expect_success, python, script};
pub use recorder::{Record, Recorder, publish};
pub use serial_line::SerialLine;
pub use wait::{holds_for, poll, wait_for, wait_until};
