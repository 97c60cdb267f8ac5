//! `[log]`

use serde::Deserialize;

/// How the gateway logs (to standard error; systemd's journal collects it).
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,holdfast::uplink=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}
