//! `[commands]`

use std::time::Duration;

use serde::Deserialize;

/// Commands from the cloud.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Commands {
    /// The cloud's topics that bring commands, as MQTT filters with `{gateway}`.
    pub from: Vec<String>,
    /// The local topic on which the outcome of each command is published; it goes up in the
    /// stream `events`, under the cloud topic of the same name.
    pub outcome: String,
    /// A command that says nothing of its own expiry is dropped this long after it came.
    #[serde(with = "humantime_serde")]
    pub expires_after: Duration,
    /// Commands that are kept while they wait; more are refused.
    pub pending_max: usize,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            from: vec!["{gateway}/commands/#".to_owned()],
            outcome: "{gateway}/outcomes".to_owned(),
            expires_after: Duration::from_mins(1),
            pending_max: 1_000,
        }
    }
}
