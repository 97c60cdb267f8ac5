//! `[queue]`

use std::time::Duration;

use serde::Deserialize;

/// How the queue is written, whatever the stream.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// The longest that a message waits for others, so that all are synced together: fewer writes
    /// to flash for a later PUBACK. Zero commits as soon as the disk is free.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
}
