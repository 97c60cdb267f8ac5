//! What is wrong with a configuration, for the operator who has to mend it.

use std::fmt;

use thiserror::Error;

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file (or "the environment", "the command line") that says it, where that is known.
    pub file: Option<String>,
    /// The key, as a path: `listener[0].tls.cert`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    /// A problem of this key; its file is found later from where the key was set.
    pub fn new(
        key: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { file: None, key: key.into(), message: message.into(), remedy: remedy.into() }
    }
}

impl Problems {
    /// Names `file` where a problem does not say where it comes from.
    #[must_use]
    pub fn located(mut self, file: &str) -> Self {
        for problem in &mut self.0 {
            problem.file.get_or_insert_with(|| file.to_owned());
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}\n    {}", self.message, self.remedy)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        let n = self.0.len();
        write!(f, "{n} problem{}", if n == 1 { "" } else { "s" })
    }
}
