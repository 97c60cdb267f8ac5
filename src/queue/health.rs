//! How the queue is, for whoever watches over it.

use serde::Serialize;

/// What a stream is able to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "detail")]
pub enum Condition {
    /// Everything.
    #[default]
    Healthy,
    /// Its limit or the disk's is reached; the stream's `on_full` applies. Draining goes on, and
    /// appends resume by themselves.
    Full,
    /// The last write failed; nothing is acknowledged until one succeeds.
    WriteFailing(String),
    /// The cursor could not be written; records may be sent twice after a crash, and no space is
    /// given back until it can.
    CursorFailing(String),
}

/// One stream's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamHealth {
    /// The stream.
    pub stream: String,
    /// What it is able to do.
    #[serde(flatten)]
    pub condition: Condition,
    /// What its files take on disk.
    pub disk_bytes: u64,
    /// What they may take.
    pub disk_bytes_max: u64,
}

/// The health of every stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Sorted by name.
    pub streams: Vec<StreamHealth>,
}

impl Health {
    /// Whether every stream can take in and settle records.
    pub fn is_healthy(&self) -> bool {
        self.streams.iter().all(|stream| {
            !matches!(stream.condition, Condition::WriteFailing(_) | Condition::CursorFailing(_))
        })
    }
}
