//! What is wrong, gathered.

use holdfast_adapter_api::Problem;

/// Problems found so far, under one key.
#[derive(Debug)]
pub struct Findings<'a> {
    problems: &'a mut Vec<Problem>,
    prefix: String,
}

impl<'a> Findings<'a> {
    /// Findings below the adapter's own table.
    pub fn new(problems: &'a mut Vec<Problem>) -> Self {
        Self { problems, prefix: String::new() }
    }

    /// Findings below a key of this one.
    pub fn under(&mut self, key: &str) -> Findings<'_> {
        let prefix = format!("{}{key}.", self.prefix);
        Findings { problems: self.problems, prefix }
    }

    /// Adds a problem.
    pub fn add(&mut self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let key = format!("{}{key}", self.prefix);
        self.problems.push(Problem { key, message: message.into(), remedy: remedy.into() });
    }

    /// Adds a problem unless `holds`.
    pub fn demand(&mut self, holds: bool, key: &str, message: &str, remedy: &str) {
        if !holds {
            self.add(key, message, remedy);
        }
    }

    /// The value of a key that must be given.
    pub fn needed<T>(&mut self, value: Option<T>, key: &str, remedy: &str) -> Option<T> {
        if value.is_none() {
            self.add(key, "is missing", remedy);
        }
        value
    }

    /// Refuses a key that has no meaning here: whoever wrote it expects something of it.
    pub fn pointless(&mut self, given: bool, key: &str, belongs_to: &str) {
        if given {
            self.add(key, format!("has a meaning only with {belongs_to}"), "remove it");
        }
    }
}
