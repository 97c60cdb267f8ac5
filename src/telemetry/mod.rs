//! What the gateway tells of itself: metrics in Prometheus' text format and health as JSON, over
//! HTTP, for whoever asks.
//!
//! Nothing is collected in between: each scrape takes a snapshot of the queue, its ledger and the
//! uplink and renders it. `metrics` declares every metric there is; `docs/operating/monitoring.md`
//! says what to do about them, and a test holds the two together.

mod metrics;
mod page;
mod render;
mod server;
mod snapshot;
#[cfg(test)]
mod tests;

pub use server::serve;
pub use snapshot::Sources;
