//! Holdfast: an edge gateway that never loses what it acknowledged.
//!
//! ARCHITECTURE.md leads from the way of a message to the file; the binary is in `main.rs`.

pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod demo;
pub mod ingest;
pub mod telemetry;
pub mod uplink;

/// The queue on disk, a crate of its own in `src/queue`.
pub use holdfast_queue as queue;
/// The store for what is looked up by key, a crate of its own in `src/state`.
pub use holdfast_state as state;
