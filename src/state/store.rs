//! The store as the rest of the gateway sees it.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    engine,
    files::Files,
    recovery::Recovery,
    rows::{self, Entries, KEY_BYTES_MAX, VALUE_BYTES_MAX},
    worker::{self, Request},
};

/// Requests that may wait for the store's thread; more callers wait their turn.
const REQUESTS_MAX: usize = 256;
/// A request that takes longer has failed as far as its caller is concerned.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Entries that one scan returns at most.
const SCAN_ENTRIES_MAX: usize = 1_000;

/// How the store works; the defaults are right outside of tests.
#[derive(Debug, Clone)]
pub struct Options {
    /// What sled may keep in memory.
    pub cache_bytes: u64,
    /// After a change the export follows within this time.
    pub export_interval: Duration,
    /// Damaged stores that are kept for inspection.
    pub quarantined_max: usize,
    pub(super) sync: engine::Sync,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 4 * 1024 * 1024,
            export_interval: Duration::from_secs(30),
            quarantined_max: 3,
            sync: sync_data,
        }
    }
}

fn sync_data(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fdatasync(file)?)
}

/// Why a request of the store failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// The disk could not be read or written. The store opens itself again; a later try may
    /// succeed. A write that failed like this may or may not be there afterwards.
    #[error("the state store failed: {0}")]
    Storage(String),
    /// The disk did not answer in time; the write may still happen.
    #[error("the state store did not answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Stalled,
    /// The key or the value is larger than the store takes; no try will succeed.
    #[error(
        "a key or value is too large for the state store ({key_bytes} and {value_bytes} bytes)"
    )]
    TooLarge {
        /// Of the key; at most 512 are taken.
        key_bytes: usize,
        /// Of the value; at most 262,144 are taken.
        value_bytes: usize,
    },
    /// The store was closed.
    #[error("the state store is closed")]
    Closed,
}

impl StateError {
    /// Whether the same request may succeed later.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Stalled)
    }
}

/// One change of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub(super) table: &'static str,
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
}

/// Handle on the store; cheap to clone. The store closes itself when the last handle is dropped,
/// but only [`State::close`] waits for it.
#[derive(Debug, Clone)]
pub struct State {
    requests: mpsc::Sender<(Request, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

/// One table of the store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    state: State,
    name: &'static str,
}

impl State {
    /// Opens the store under `data_dir`, rebuilding it where it is damaged. Always succeeds;
    /// takes as long as the disk does (bounded), so call it before the runtime is busy.
    pub fn open(data_dir: &Path, options: Options) -> (Self, Recovery) {
        let (requests, inbox) = mpsc::channel();
        let recovery = worker::start(Files::new(data_dir), options, inbox);
        (Self { requests, room: Arc::new(Semaphore::new(REQUESTS_MAX)) }, recovery)
    }

    /// A table; it exists by being written to.
    ///
    /// # Panics
    /// If the name is empty or has a NUL: tables are named in the source.
    pub fn table(&self, name: &'static str) -> Table {
        assert!(!name.is_empty() && !name.contains('\0'), "{name:?} is no name for a table");
        Table { state: self.clone(), name }
    }

    /// Grows whenever the store came back without everything it had promised. An entry that
    /// records the epoch it was written in tells by it whether later changes of it may be lost.
    pub async fn epoch(&self) -> Result<u64, StateError> {
        self.request(|reply| Request::Epoch { reply }).await
    }

    /// Writes several changes as one; resolves when all are on disk.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), StateError> {
        for Change { key, value, .. } in &changes {
            let value_bytes = value.as_ref().map_or(0, Vec::len);
            if key.len() > KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
                return Err(StateError::TooLarge { key_bytes: key.len(), value_bytes });
            }
        }
        let changes = changes
            .into_iter()
            .map(|change| (rows::entry_prefix(change.table, &change.key), change.value))
            .collect();
        self.request(|reply| Request::Write { changes, reply }).await
    }

    /// Exports, closes and waits until the files are free. Every later request fails.
    pub async fn close(&self) {
        // A store that cannot close properly has already said so in the log.
        let _ = self.request(|reply| Request::Close { reply }).await;
    }

    async fn request<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StateError>>) -> Request,
    ) -> Result<T, StateError> {
        let answer = async {
            let room = Arc::clone(&self.room).acquire_owned().await;
            let permit = room.map_err(|_| StateError::Closed)?;
            let (reply, answer) = oneshot::channel();
            self.requests.send((request(reply), permit)).map_err(|_| StateError::Closed)?;
            answer.await.map_err(|_| StateError::Closed)?
        };
        tokio::time::timeout(REQUEST_TIMEOUT, answer).await.unwrap_or(Err(StateError::Stalled))
    }
}

impl Table {
    /// The value under a key.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let prefix = rows::entry_prefix(self.name, checked(key)?);
        self.state.request(|reply| Request::Get { prefix, reply }).await
    }

    /// Sets the value under a key; resolves when it is on disk.
    pub async fn put(&self, key: &[u8], value: Vec<u8>) -> Result<(), StateError> {
        self.state.write(vec![self.putting(key, value)]).await
    }

    /// Removes a key, if it is there; resolves when that is on disk.
    pub async fn delete(&self, key: &[u8]) -> Result<(), StateError> {
        self.state.write(vec![self.deleting(key)]).await
    }

    /// The entries after the key `after`, ordered by length of the key, then by key; at most
    /// `entries_max` and never more than 1,000. An empty answer is the end of the table.
    pub async fn scan(
        &self,
        after: Option<&[u8]>,
        entries_max: usize,
    ) -> Result<Entries, StateError> {
        let after = after.map(checked).transpose()?.map(<[u8]>::to_vec);
        let (table, entries_max) = (self.name, entries_max.min(SCAN_ENTRIES_MAX));
        self.state.request(|reply| Request::Scan { table, after, entries_max, reply }).await
    }

    /// The change that sets a key, for [`State::write`].
    pub fn putting(&self, key: &[u8], value: Vec<u8>) -> Change {
        Change { table: self.name, key: key.to_vec(), value: Some(value) }
    }

    /// The change that removes a key, for [`State::write`].
    pub fn deleting(&self, key: &[u8]) -> Change {
        Change { table: self.name, key: key.to_vec(), value: None }
    }
}

fn checked(key: &[u8]) -> Result<&[u8], StateError> {
    if key.len() > KEY_BYTES_MAX {
        return Err(StateError::TooLarge { key_bytes: key.len(), value_bytes: 0 });
    }
    Ok(key)
}
