//! Holdfast: an edge gateway that never loses what it acknowledged.

pub mod broker;
pub mod command;
pub mod config;
pub mod demo;
pub mod ingest;
pub mod queue;
