//! Collecting what is wrong with a configuration.

use holdfast_adapter_api::Problem;

/// Collects the problems of a configuration.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        key: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (key, message, remedy) = (key.into(), message.into(), remedy.into());
        self.0.push(Problem { key, message, remedy });
    }
}
