//! `[gateway]`

use std::path::PathBuf;

use serde::Deserialize;

/// Who this gateway is and where it keeps its data.
#[derive(Debug, Clone, Deserialize)]
pub struct Gateway {
    /// The gateway's id: `{gateway}` in templates, the client id towards the cloud, the first
    /// part of every message's id.
    pub id: String,
    /// Where the queue and the state live.
    pub data_dir: PathBuf,
}
