//! The handle on one stream.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    Chunk, ReadError, StreamOptions,
    accounts::Fate,
    commit::CHANGES_MAX,
    inbox::Inbox,
    reader::{self, Limits},
    state::Shared,
};

/// Which stream of a queue; valid as long as the queue is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(pub(super) u16);

/// One stream; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stream {
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, inbox: Arc<Inbox>) -> Self {
        Self { shared, inbox }
    }

    /// What appends name it by.
    pub fn id(&self) -> StreamId {
        self.shared.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.options.name
    }

    /// How it is configured.
    pub fn options(&self) -> &StreamOptions {
        &self.shared.options
    }

    /// The first sequence that is not yet acknowledged, expired, evicted or damaged.
    pub fn floor(&self) -> u64 {
        self.shared.state().settled.floor()
    }

    /// The durable end: the sequence after the last synced record. Changes wake readers.
    pub fn durable_end(&self) -> watch::Receiver<u64> {
        self.shared.durable.subscribe()
    }

    /// Reads synced records from `from` on, passing over what is acknowledged, expired (counting
    /// it) or damaged (quarantining and counting it). Empty only when `next` is the durable end.
    /// Brings at least one record even if that alone exceeds `bytes_max`. What a payload keeps in
    /// memory beyond itself is said at [`Chunk::records`].
    pub async fn read(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Chunk, ReadError> {
        let shared = Arc::clone(&self.shared);
        let limits = Limits { records_max, bytes_max };
        let read = tokio::task::spawn_blocking(move || reader::read(&shared, from, limits));
        read.await.unwrap_or_else(|error| {
            Err(ReadError { file: "the stream".to_owned(), source: std::io::Error::other(error) })
        })
    }

    /// The cloud has this record; in memory at once, on disk with the next cursor write (at most
    /// a second later). Unknown or already settled sequences are ignored (false).
    ///
    /// Does not wait for the disk, with one exception: of the records that were read and are not
    /// settled, the sources of the last 1,048,576 are remembered. For an older one the segment
    /// that holds it is read, here and now, once for each such record: milliseconds, or longer
    /// where the disk is damaged. Who never has so many unsettled never meets with it.
    pub fn acknowledge(&self, sequence: u64) -> bool {
        let (settled, changes) = acknowledge(&self.shared, sequence);
        if changes == CHANGES_MAX {
            self.inbox.nudge();
        }
        settled
    }

    /// Queued records, and about how many bytes they take on disk.
    pub fn depth(&self) -> (u64, u64) {
        let state = self.shared.state();
        (state.queued(), state.queued_bytes())
    }
}

/// Settles a record as delivered; whether it was open, and the changes not yet on disk.
pub(super) fn acknowledge(shared: &Shared, sequence: u64) -> (bool, u64) {
    let mut state = shared.state();
    if sequence >= state.next || state.settled.contains(sequence) {
        return (false, 0);
    }
    let source = if let Some(source) = state.handed.get(sequence) {
        source
    } else {
        // So many were read since that this one is forgotten: its source is looked up.
        drop(state);
        let Some(source) = reader::source_of(shared, sequence) else { return (false, 0) };
        state = shared.state();
        state.accounts.id_shared(&source)
    };
    if !state.settled.has_room(sequence) {
        return (false, 0);
    }
    let settled = state.settle(sequence, source, Fate::Delivered);
    (settled, state.changes)
}
