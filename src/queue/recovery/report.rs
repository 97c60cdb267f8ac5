//! What was found when the queue was opened.

use std::fmt;

use crate::Damage;

/// What was found and put right when the queue was opened; one line each by `Display`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records lost to damage, found now.
    pub damage: Vec<Damage>,
    /// Anything else that an operator should know.
    pub notes: Vec<String>,
    /// Damage that costs nothing and goes by itself.
    pub remarks: Vec<String>,
}

impl Recovery {
    /// Whether there is nothing to say.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty() && self.notes.is_empty() && self.remarks.is_empty()
    }

    /// Adds what was found in another stream.
    pub(crate) fn take_in(&mut self, other: Self) {
        self.damage.extend(other.damage);
        self.notes.extend(other.notes);
        self.remarks.extend(other.remarks);
    }

    /// The lines for the log.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let damage = self.damage.iter().map(ToString::to_string);
        self.notes.iter().chain(&self.remarks).cloned().chain(damage)
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
