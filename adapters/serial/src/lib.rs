//! Serial lines that are not Modbus. (Skeleton.)

/// One serial line: `[[serial]]`.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Config {
    /// The adapter's name.
    pub name: String,
}
