//! Wall time with a flag for whether it can be believed.

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// RFC 3339 in UTC with three digits of a second, always, so that texts of one form compare.
const RFC3339_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A moment of wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_millis: i64,
    /// Whether the clock was known to be right when this was taken.
    pub trusted: bool,
}

impl Timestamp {
    /// The moment in RFC 3339, UTC, to the millisecond; the epoch for what no calendar holds.
    pub fn to_rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.unix_millis) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .format(RFC3339_MILLIS)
            .expect("every component of this format is one that any OffsetDateTime has")
    }
}

/// Something that tells the time.
pub trait Clock: Send + Sync {
    /// The wall time now, and whether it can be believed.
    fn now(&self) -> Timestamp;
}
