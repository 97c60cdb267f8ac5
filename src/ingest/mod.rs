//! The one entrance: everything that comes in, from devices and adapters alike.

mod door;

pub use door::{Door, Source, Submission, Verdict};
