//! Commands from the cloud: kept on disk, carried out in time or not at all, always reported.

mod sink;

pub use sink::{CommandSink, Persisting, SinkError};
