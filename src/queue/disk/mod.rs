//! The disk as the queue sees it: few operations, each of which may fail, and none of which is
//! durable before the matching sync.
//!
//! Everything the queue reads or writes goes through [`Disk`], so that tests can put a disk
//! beneath it that forgets, tears and refuses.

mod counted;
mod real;
#[cfg(any(test, feature = "simulated"))]
#[cfg_attr(not(test), expect(dead_code, reason = "fuzzing needs only a part of it"))]
pub(super) mod simulated;

use std::{fmt, io, path::Path, sync::Arc};

pub(super) use counted::CountedDisk;
pub use real::RealDisk;

/// Whether a file is opened for writing too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// The length of the file.
    pub bytes: u64,
}

/// How much a file system holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged user may still write.
    pub free_bytes: u64,
    /// All of it, used or not.
    pub capacity_bytes: u64,
}

/// A folder tree.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Creates a folder and those above it, durably; it may exist already.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names in a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Creates a file that must not exist yet. Durable after [`Disk::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that must exist.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames, replacing what is there. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the one lock of a folder; `WouldBlock` where another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
    /// How much the file system of a folder holds; `Unsupported` where that is not known.
    fn space(&self, dir: &Path) -> io::Result<Space> {
        // The name is for those who implement it.
        let _ = dir;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Held for as long as the lock is.
pub trait Lock: fmt::Debug + Send + Sync {}

/// An open file; positions are explicit.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the file `bytes` long with its space reserved; what is new reads as zeros.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Cuts the file off.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// The length.
    fn bytes(&self) -> io::Result<u64>;
    /// Makes content (and the length, where it changed) durable.
    fn sync(&self) -> io::Result<()>;
}

/// Whether an error says that there is no space left.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What the operating system calls too many open files, of the process and of the machine.
const TOO_MANY_OPEN: [i32; 2] = [24, 23];

/// Whether an error is about this process and not about the disk: nothing follows from it about
/// what a file holds, least of all that it is damaged.
pub(super) fn is_no_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, Unsupported};
    matches!(error.kind(), OutOfMemory | PermissionDenied | Unsupported)
        || error.raw_os_error().is_some_and(|code| TOO_MANY_OPEN.contains(&code))
}

/// Reads a whole file, or as much of it as `bytes_max`.
pub(super) fn read_whole(file: &dyn DiskFile, bytes_max: u64) -> io::Result<Vec<u8>> {
    let length = file.bytes()?.min(bytes_max);
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut buffer, 0)?;
    buffer.truncate(read);
    Ok(buffer)
}
