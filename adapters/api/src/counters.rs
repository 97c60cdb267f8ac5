//! Counters an adapter keeps, in a form any exporter can read.

/// One counter of an adapter, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// What is counted: `requests`, `timeouts`, `crc_errors` …
    pub name: &'static str,
    /// What it is counted for: `[("device", "wx-1")]`.
    pub labels: Vec<(&'static str, String)>,
    /// The count since the gateway started.
    pub value: u64,
}

/// A view on an adapter's counters.
pub trait Counters: Send + Sync {
    /// All counters, now.
    fn snapshot(&self) -> Vec<Counter>;
}
