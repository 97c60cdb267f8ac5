//! When something was taken in, for people and for programs.

use holdfast_adapter_api::Timestamp;
use serde::Serialize;

use crate::queue::Stamp;

/// A moment of wall time and whether it can be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Moment {
    time: String,
    trusted: bool,
}

impl From<Stamp> for Moment {
    fn from(stamp: Stamp) -> Self {
        Self { time: rfc3339(&stamp), trusted: stamp.wall_trusted }
    }
}

/// The wall time in RFC 3339.
pub(super) fn rfc3339(stamp: &Stamp) -> String {
    Timestamp { unix_millis: stamp.wall_millis, trusted: stamp.wall_trusted }.to_rfc3339()
}

/// The same for a table: `?` marks a time that was not trusted.
pub(super) fn shown(stamp: Option<Stamp>) -> String {
    stamp.map_or_else(
        || "-".to_owned(),
        |stamp| rfc3339(&stamp) + if stamp.wall_trusted { "" } else { "?" },
    )
}
