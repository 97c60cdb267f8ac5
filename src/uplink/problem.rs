//! Why there can be no uplink.

use thiserror::Error;

use crate::config::{Problem, Problems};

/// Why there can be no uplink: everything that is wrong, at once. Permanent until the
/// configuration or the files change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", Problems(self.problems.clone()))]
pub struct UplinkConfigError {
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
}
