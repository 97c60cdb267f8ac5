//! Folders that vanish with their test.

use tempfile::TempDir;

/// A new folder under `target/`: on the disk, where a sync costs what it costs, and not on a
/// memory file system such as `/tmp` may be.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder under target/")
}
