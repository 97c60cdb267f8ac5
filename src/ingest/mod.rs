//! The one entrance: everything that comes in, from devices and adapters alike.
//!
//! [`Door`] is the contract, [`Ingest`] the entrance behind it: limits, route, durable append,
//! verdict; then local subscribers. Nothing else writes to the queue.

mod counters;
mod door;
mod entrance;
mod routes;

pub use counters::IngestCounters;
pub use door::{Door, Source, Submission, Verdict};
pub use entrance::Ingest;
pub use routes::{Destination, Route, Routes};

#[cfg(test)]
mod tests;
