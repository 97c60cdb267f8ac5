//! What was found when the queue was opened.

use std::fmt;

use crate::{Damage, Torn};

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
}

impl Recovery {
    /// Whether there is nothing to say.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty() && self.torn.is_empty() && self.notes.is_empty()
    }

    /// The lines for the log.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let damage = self.damage.iter().map(ToString::to_string);
        let torn = self.torn.iter().map(ToString::to_string);
        self.notes.iter().cloned().chain(damage).chain(torn)
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
