//! What is wrong with the uplink's part of the configuration.

use std::fmt;

/// One thing that is wrong, with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The configuration key.
    pub key: String,
    /// What is wrong; begins with the key.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    pub(super) fn new(key: &str, wrong: impl fmt::Display, remedy: &str) -> Self {
        Self { key: key.to_owned(), message: format!("{key}: {wrong}"), remedy: remedy.to_owned() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

/// Why there can be no uplink: everything that is wrong, at once. Permanent until the
/// configuration or the files change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UplinkConfigError {
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for UplinkConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UplinkConfigError {}
