//! What was found when the queue was opened.

use std::fmt;

use crate::{Damage, Torn, segment::SegmentName};

/// What was found and put right when the queue was opened; one line each by `Display`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records lost to damage, found now.
    pub damage: Vec<Damage>,
    /// Records of writes that were cut off. They are no loss: nobody was told that they were
    /// stored.
    pub torn: Vec<Torn>,
    /// Anything else that an operator should know.
    pub notes: Vec<String>,
    /// Damage that costs nothing and goes by itself.
    pub remarks: Vec<String>,
}

impl Recovery {
    /// Whether there is nothing to say.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty()
            && self.torn.is_empty()
            && self.notes.is_empty()
            && self.remarks.is_empty()
    }

    /// Adds what was found in another stream.
    pub(crate) fn take_in(&mut self, other: Self) {
        self.damage.extend(other.damage);
        self.torn.extend(other.torn);
        self.notes.extend(other.notes);
        self.remarks.extend(other.remarks);
    }

    /// The lines for the log.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let damage = self.damage.iter().map(ToString::to_string);
        let torn = self.torn.iter().map(ToString::to_string);
        self.notes.iter().chain(&self.remarks).cloned().chain(damage).chain(torn)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.lines().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

/// What is said of a damaged header. What it held beyond the segment's name, which the file's
/// name has too, nobody can tell exactly any more, and a wrong one would do harm; so it is not
/// written anew.
pub(crate) fn header_remark(stream: &str, name: SegmentName) -> String {
    format!(
        "stream {stream}: the header of {} is damaged; no record is lost by that, and it goes with \
         the file when its records are settled",
        name.file_name()
    )
}
