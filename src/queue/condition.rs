//! What a stream is able to do, and what keeps it from doing the rest.

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
    /// The next records cannot be read, which is no damage: nothing is sent until they can be.
    ReadFailing(String),
}

impl Condition {
    /// Every name that a condition can have.
    pub const NAMES: [&str; 5] =
        ["healthy", "full", "write_failing", "cursor_failing", "read_failing"];

    /// The name, as JSON and the metrics write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Full => "full",
            Self::WriteFailing(_) => "write_failing",
            Self::CursorFailing(_) => "cursor_failing",
            Self::ReadFailing(_) => "read_failing",
        }
    }
}

/// What is wrong with a stream; each ends by itself, when what failed has succeeded.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// There was no room for the last records.
    pub(super) full: bool,
    /// Why the last write of records failed, if it did.
    pub(super) write: Option<String>,
    /// The same for the cursor.
    pub(super) cursor: Option<String>,
    /// The same for the last read.
    pub(super) read: Option<String>,
}

impl Troubles {
    /// The worst of them.
    pub(super) fn condition(&self) -> Condition {
        match self {
            Self { write: Some(error), .. } => Condition::WriteFailing(error.clone()),
            Self { cursor: Some(error), .. } => Condition::CursorFailing(error.clone()),
            Self { read: Some(error), .. } => Condition::ReadFailing(error.clone()),
            Self { full: true, .. } => Condition::Full,
            _ => Condition::Healthy,
        }
    }
}
