//! Modbus RTU and TCP master. (Skeleton.)

pub mod simulator;

/// One bus or TCP connection: `[[modbus]]`.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Config {
    /// The adapter's name.
    pub name: String,
}
