//! The configuration: its schema, and (in later files) how it is loaded and checked.
//!
//! Every section has a file of its own. Every key has a default that is right for most sites,
//! or is one of the few an operator must give. `config/holdfast.toml` shows them all.

pub mod commands;
pub mod gateway;
pub mod limits;
pub mod listener;
pub mod log;
pub mod route;
pub mod stream;
pub mod uplink;
pub mod user;

use serde::Deserialize;

pub use commands::Commands;
pub use gateway::Gateway;
pub use limits::Limits;
pub use listener::{Authentication, Listener, ListenerTls};
pub use log::Log;
pub use route::Route;
pub use stream::{Encoding, OnFull, Stream};
pub use uplink::{Profile, Uplink};
pub use user::User;

/// The whole configuration of a gateway.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Who this gateway is and where it keeps its data.
    pub gateway: Gateway,
    /// How it logs.
    #[serde(default)]
    pub log: Log,
    /// The doors of the local broker.
    #[serde(default)]
    pub listener: Vec<Listener>,
    /// Devices that authenticate with user name and password.
    #[serde(default)]
    pub user: Vec<User>,
    /// The bounds of the local broker.
    #[serde(default)]
    pub limits: Limits,
    /// The connection to the cloud; a gateway without one only queues.
    pub uplink: Option<Uplink>,
    /// The streams in which messages go up, beyond or instead of the built-in ones.
    #[serde(default)]
    pub stream: Vec<Stream>,
    /// Which topic goes up in which stream.
    #[serde(default)]
    pub route: Vec<Route>,
    /// Commands from the cloud.
    #[serde(default)]
    pub commands: Commands,
    /// Modbus buses and TCP devices.
    #[serde(default)]
    pub modbus: Vec<holdfast_modbus::Config>,
    /// Serial lines that are not Modbus.
    #[serde(default)]
    pub serial: Vec<holdfast_serial::Config>,
}
