//! The local MQTT broker: doors, sessions, and the switchboard behind them.

mod message;
mod switchboard;

pub use message::{Message, Properties, QoS};
pub use switchboard::Switchboard;
