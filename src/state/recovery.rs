//! What opening the store found, and what was done about it.

use std::fmt;

/// How the store came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryOutcome {
    /// There was none; it is new and empty.
    Fresh,
    /// It is whole: everything that was reported durable is there.
    Intact,
    /// sled opened, but at an earlier commit than the last that was reported durable.
    RolledBack,
    /// It was damaged, put aside and rebuilt from the export.
    Rebuilt,
    /// The disk does not let it be opened or rebuilt now. Reads and writes fail until it does; it
    /// is tried again by itself.
    Unavailable,
}

/// The report of one opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// How the store came back.
    pub outcome: RecoveryOutcome,
    /// Commits that were reported durable and are not there any more; a lower bound, exact
    /// unless a power cut came between.
    pub commits_lost: u64,
    /// Rows of the export that could not be read when the store was rebuilt from it.
    pub rows_lost: u64,
    pub(super) lines: Vec<String>,
}

impl Recovery {
    pub(super) fn new(outcome: RecoveryOutcome) -> Self {
        Self { outcome, commits_lost: 0, rows_lost: 0, lines: Vec::new() }
    }

    pub(super) fn say(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Whether nothing that was reported durable is missing.
    pub fn is_clean(&self) -> bool {
        matches!(self.outcome, RecoveryOutcome::Fresh | RecoveryOutcome::Intact)
    }

    /// What was found and done, for the log; empty where there is nothing to say.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.outcome {
            RecoveryOutcome::Fresh => "new",
            RecoveryOutcome::Intact => "intact",
            RecoveryOutcome::RolledBack => "rolled back",
            RecoveryOutcome::Rebuilt => "rebuilt from its export",
            RecoveryOutcome::Unavailable => "unavailable",
        })?;
        self.lines.iter().try_for_each(|line| write!(f, "; {line}"))
    }
}
