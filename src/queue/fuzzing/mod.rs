//! What the fuzz targets in `fuzz/` call: one function per target, each of which takes bytes that
//! may be anything, on a disk in memory, and panics where a promise is broken.
//!
//! Checksums would keep a fuzzer out of everything behind them, so a folder can be mended after
//! it was tampered with: its lengths and counts are hostile then, its checksums are right.

mod craft;
mod examine;
mod folder;
mod input;
mod mend;
mod record;
mod recovery;
#[cfg(test)]
mod replay;

pub use record::record;
pub use recovery::recovery;
