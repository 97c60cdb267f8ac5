//! `[telemetry]`

use std::net::SocketAddr;

use serde::Deserialize;

/// What the gateway tells of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// Where metrics can be scraped over HTTP; nowhere if left out. Whoever reaches it may read
    /// it.
    pub metrics_bind: Option<SocketAddr>,
}
