//! What can be chosen about a queue and its streams.

use std::time::Duration;

use serde::Deserialize;

use super::Compression;

/// How the queue is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The streams that are configured.
    pub streams: Vec<StreamOptions>,
    /// The longest that a record waits for others before they are committed together; zero commits
    /// whatever has gathered as soon as the disk is free. Many records, or many bytes, are
    /// committed at once all the same.
    pub commit_interval: Duration,
}

/// How one stream is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// The name: 1 to 32 of `a-z`, `0-9`, `_` and `-`.
    pub name: String,
    /// The most the stream may take on disk, in bytes.
    pub bytes_max: u64,
    /// Messages older than this are not sent any more.
    pub age_max: Duration,
    /// What happens when `bytes_max` is reached or the disk is full.
    pub on_full: OnFull,
    /// How batches are compressed.
    pub compression: Compression,
}

impl StreamOptions {
    /// A stream of this name with every default.
    pub fn with_defaults(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            bytes_max: 1024 * 1024 * 1024,
            age_max: Duration::from_hours(30 * 24),
            on_full: OnFull::default(),
            compression: Compression::default(),
        }
    }
}

/// What happens when a stream is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// The oldest messages make room.
    #[default]
    DropOldest,
    /// New messages are acknowledged, counted as evicted and dropped.
    DropNewest,
    /// New messages are not acknowledged; the device keeps them.
    Reject,
}
