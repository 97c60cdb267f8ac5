//! The handle on the whole queue.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{oneshot, watch};

use super::{
    Health, Ledger, NewRecord, Options, Refusal, Stream, StreamId,
    commit::{self, Committer},
    disk::Lock,
    health,
    inbox::{Inbox, Request, units},
    state::Shared,
};

/// Why a record was not taken in. Who gets one counts it with [`Queue::refuse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Worth a retry once the stream has drained.
    #[error("the stream is full")]
    StreamFull,
    /// Worth a retry; the queue goes on trying by itself with the next append.
    #[error("the disk could not be written")]
    StorageFailed,
    /// Permanent.
    #[error("the queue is closed")]
    Closed,
}

/// The disk-backed queue; cheap to clone.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    inbox: Arc<Inbox>,
    streams: Vec<Arc<Shared>>,
    heartbeat: Arc<AtomicU64>,
    finished: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Whatever ends the commit thread, a panic too, nobody waits for it in vain.
struct ThreadsEnd {
    inbox: Arc<Inbox>,
    finish: watch::Sender<bool>,
}

impl Drop for ThreadsEnd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the queue's commit thread panicked: nothing is taken in any more");
        }
        self.inbox.abandon();
        self.finish.send_replace(true);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("streams", &self.0.streams).finish_non_exhaustive()
    }
}

impl Queue {
    /// Starts the commit thread over streams that are open.
    pub(super) fn start(
        streams: Vec<Arc<Shared>>,
        committer: Committer,
        commit_interval: Duration,
        lock: Box<dyn Lock>,
    ) -> std::io::Result<Self> {
        let inbox = Arc::new(Inbox::new());
        let heartbeat = Arc::new(AtomicU64::new(0));
        let (finish, finished) = watch::channel(false);
        let thread = {
            let (inbox, heartbeat) = (Arc::clone(&inbox), Arc::clone(&heartbeat));
            std::thread::Builder::new().name("queue-commit".to_owned()).spawn(move || {
                let end = ThreadsEnd { inbox, finish };
                // Given back before anyone hears of the end.
                let _lock = lock;
                commit::run(&end.inbox, committer, commit_interval, &heartbeat);
            })?
        };
        let thread = Mutex::new(Some(thread));
        Ok(Self(Arc::new(Inner { inbox, streams, heartbeat, finished, thread })))
    }

    /// Opens the queue in a folder, creating or recovering it, and starts the commit thread.
    /// Stream folders that are found but not configured are opened with defaults, so that they
    /// drain.
    pub fn open(
        dir: &Path,
        options: Options,
        environment: &super::Environment,
    ) -> Result<(Self, super::Recovery), super::OpenError> {
        super::open::open(dir, options, environment)
    }

    /// The stream of this name, if there is one.
    pub fn stream(&self, name: &str) -> Option<Stream> {
        let shared = self.0.streams.iter().find(|shared| shared.options.name == name)?;
        Some(Stream::new(Arc::clone(shared), Arc::clone(&self.0.inbox)))
    }

    /// All streams, configured and found, sorted by name.
    pub fn streams(&self) -> Vec<Stream> {
        let streams = self.0.streams.iter();
        streams.map(|shared| Stream::new(Arc::clone(shared), Arc::clone(&self.0.inbox))).collect()
    }

    /// Resolves when every record is synced to disk or has failed; one result per record, in
    /// order: its sequence, or `None` where `drop_newest` dropped it (counted as evicted).
    ///
    /// Waits while too much is being written already. If the future is dropped before it
    /// resolves, the records may or may not be taken in.
    pub async fn append(
        &self,
        records: Vec<(StreamId, NewRecord)>,
    ) -> Vec<Result<Option<u64>, AppendError>> {
        let count = records.len();
        let closed = || vec![Err(AppendError::Closed); count];
        if records.is_empty() {
            return Vec::new();
        }
        let room = Arc::clone(&self.0.inbox.room);
        let Ok(permit) = room.acquire_many_owned(units(&records)).await else { return closed() };
        let (done, outcome) = oneshot::channel();
        if self.0.inbox.leave(Request { records, done, permit }).is_err() {
            return closed();
        }
        outcome.await.unwrap_or_else(|_| closed())
    }

    /// Counts a message that was not taken in.
    pub fn refuse(&self, stream: StreamId, source: &str, reason: Refusal) {
        if let Some(shared) = self.0.streams.get(usize::from(stream.0)) {
            shared.refuse(source, reason);
        }
    }

    /// What came in and what became of it, up to the last synced record.
    pub fn ledger(&self) -> Ledger {
        Ledger { streams: self.0.streams.iter().map(|shared| shared.ledger()).collect() }
    }

    /// How every stream is. Reads the disk, so it is not for a thread of the runtime.
    pub fn health(&self) -> Health {
        health::examine(&self.0.streams)
    }

    /// Rises at least every second, or commit interval where that is longer, while the commit
    /// thread is alive and not stuck.
    pub fn heartbeat(&self) -> u64 {
        self.0.heartbeat.load(Ordering::Relaxed)
    }

    /// Takes no more appends, syncs everything and stops the thread.
    pub async fn close(&self) {
        self.0.inbox.close();
        let mut finished = self.0.finished.clone();
        // An error means that the thread is gone, which is what is waited for.
        let _ = finished.wait_for(|finished| *finished).await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.inbox.close();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic has been reported where it ended the thread.
            let _ = thread.join();
        }
    }
}
