//! The configuration: its schema, how it is loaded in layers, and how it is checked.
//!
//! Layers, later over earlier: built-in defaults, the file, `conf.d/*.toml` beside it in order of
//! name, the environment (`HOLDFAST__UPLINK__URL`), `--set` on the command line. A table of a later
//! layer is merged into the earlier one; a list of tables (`[[modbus]]`) in `conf.d` is appended.
//!
//! Every section has a file of its own. Every key has a default that is right for most sites, or
//! is one of the few an operator must give. `config/holdfast.toml` shows them all.

mod check;
mod fields;
mod layers;
mod load;
mod misfit;
mod problem;
#[cfg(test)]
mod reference;
mod schema;
mod value;

pub mod commands;
pub mod gateway;
pub mod limits;
pub mod listener;
pub mod log;
pub mod queue;
pub mod route;
pub mod stream;
pub mod telemetry;
pub mod uplink;
pub mod user;

pub use check::{check, check_files};
pub use commands::Commands;
pub use gateway::Gateway;
pub use limits::Limits;
pub use listener::{Authentication, Listener, ListenerTls};
pub use load::{Loaded, load};
pub use log::Log;
pub use problem::{Problem, Problems};
pub use queue::Queue;
pub use route::Route;
pub use schema::Config;
pub use stream::{Encoding, OnFull, Stream};
pub use telemetry::Telemetry;
pub use uplink::{Profile, Uplink};
pub use user::User;
