//! `[[route]]`

use serde::Deserialize;

/// Which local topics go up, in which stream and under which topic. The first route that
/// matches a message decides.
#[derive(Debug, Clone, Deserialize)]
pub struct Route {
    /// The MQTT topic filter that a message's topic must match.
    pub from: String,
    /// The stream it goes up in.
    pub stream: String,
    /// The topic at the cloud, with `{gateway}`, `{topic}` and `{stream}`.
    #[serde(default = "to")]
    pub to: String,
}

fn to() -> String {
    "{gateway}/{topic}".to_owned()
}
