//! The import itself.

use std::{collections::BTreeMap, io, mem, path::Path, path::PathBuf, sync::Arc};

use thiserror::Error;

use super::{
    Origin,
    journal::{Journal, Pending},
};
use crate::{
    AppendError, Environment, NewRecord, OnFull, OpenError, Recovery, Stamp, StreamId,
    StreamOptions,
    disk::Disk,
    frame::{FRAME_HEADER_BYTES, RECORD_BYTES_MAX, encoded_bytes_max},
    open::{Opened, open_streams},
    retention::is_expired,
    state::Shared,
};

/// A batch is appended when it has so many records.
const BATCH_RECORDS: usize = 4096;
/// Or takes so many bytes.
const BATCH_BYTES: u64 = 1024 * 1024;

/// Why an import stopped. What was taken over until then stays, and is not taken over again.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The queue could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stream was not named when the import began.
    #[error("the stream `{0}` is not open")]
    NoStream(String),
    /// The record is too long for the stream.
    #[error(
        "record {sequence} takes {bytes} bytes, and one of stream {stream} may take {bytes_max}; \
         give the stream a larger bytes_max"
    )]
    TooLong {
        /// The stream.
        stream: String,
        /// The record's sequence where it comes from.
        sequence: u64,
        /// What it takes.
        bytes: u64,
        /// What it may take.
        bytes_max: u64,
    },
    /// The stream's limit or the disk's is reached.
    #[error(
        "stream {stream} is full; give it a larger bytes_max, or the disk more room, and import \
         the same again: what is in already is not taken twice"
    )]
    Full {
        /// The stream.
        stream: String,
    },
    /// The disk could not be written.
    #[error("{path} cannot be written: {source}; import the same again when it can")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file that says what was taken over is damaged.
    #[error(
        "{path} cannot be read: {source}; without it nobody can tell what was taken over before. \
         Remove it if nothing was"
    )]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// What an import brought, by stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records that were taken over now.
    pub taken: BTreeMap<String, u64>,
    /// Records that had been taken over before.
    pub known: BTreeMap<String, u64>,
}

/// An import under way; the queue is locked as long as it exists.
#[derive(Debug)]
pub struct Import {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    opened: Opened,
    journal: Journal,
    batch: Vec<(StreamId, NewRecord)>,
    batch_bytes: u64,
    origins: Option<Pending>,
    imported: Imported,
}

impl Import {
    /// Opens the queue in `dir` for an import into `streams`, which are made if they are not
    /// there. Nothing that waits is given up for it, whatever their `on_full` says.
    pub fn open(
        dir: &Path,
        mut streams: Vec<StreamOptions>,
        environment: &Environment,
    ) -> Result<(Self, Recovery), ImportError> {
        for options in &mut streams {
            options.on_full = OnFull::Reject;
        }
        let opened = open_streams(dir, streams, environment)?;
        let disk = Arc::clone(&environment.disk);
        let journal = Journal::load(&*disk, dir)
            .map_err(|source| ImportError::Journal { path: dir.join("imports"), source })?;
        let recovery = opened.recovery.clone();
        let import = Self {
            dir: dir.to_owned(),
            disk,
            opened,
            journal,
            batch: Vec::new(),
            batch_bytes: 0,
            origins: None,
            imported: Imported::default(),
        };
        Ok((import, recovery))
    }

    fn stream(&self, name: &str) -> Result<&Arc<Shared>, ImportError> {
        let mut streams = self.opened.streams.iter();
        let found = streams.find(|shared| shared.options.name == name);
        found.ok_or_else(|| ImportError::NoStream(name.to_owned()))
    }

    /// Whether a record was taken over before.
    pub fn knows(&self, stream: &str, origin: Origin) -> bool {
        self.journal.contains(stream, origin)
    }

    /// Whether a record lies in this very queue.
    pub fn is_own(&self, stream: &str, origin: Origin) -> bool {
        self.stream(stream).is_ok_and(|shared| {
            let state = shared.state();
            state.segments.iter().any(|segment| segment.name.id == origin.segment)
        })
    }

    /// Whether a record would be too old to be sent at once.
    pub fn is_expired(&self, stream: &str, stamp: &Stamp) -> bool {
        self.stream(stream)
            .is_ok_and(|shared| is_expired(stamp, &shared.clock.now(), shared.options.age_max))
    }

    /// The bytes that the stream's limit leaves.
    pub fn room(&self, stream: &str) -> Result<u64, ImportError> {
        let shared = self.stream(stream)?;
        let taken = shared.state().disk_bytes();
        Ok(shared.options.bytes_max.saturating_sub(taken))
    }

    /// The bytes that a record takes at most; an error if no record of the stream may take that.
    pub fn bytes_of(
        &self,
        stream: &str,
        sequence: u64,
        record: &NewRecord,
    ) -> Result<u64, ImportError> {
        let bytes = encoded_bytes_max(record) as u64;
        let bytes_max = (RECORD_BYTES_MAX as u64).min(self.stream(stream)?.options.bytes_max / 2);
        if bytes > bytes_max {
            let stream = stream.to_owned();
            return Err(ImportError::TooLong { stream, sequence, bytes, bytes_max });
        }
        Ok(bytes)
    }

    /// Takes a record over, unless that was done before. It is durable when [`Import::finish`]
    /// has returned.
    pub fn push(
        &mut self,
        stream: &str,
        origin: Origin,
        record: NewRecord,
    ) -> Result<(), ImportError> {
        if self.knows(stream, origin) {
            *self.imported.known.entry(stream.to_owned()).or_default() += 1;
            return Ok(());
        }
        let bytes = self.bytes_of(stream, origin.sequence, &record)? + FRAME_HEADER_BYTES as u64;
        let other_stream = self.origins.as_ref().is_some_and(|batch| batch.stream != stream);
        let is_full = self.batch.len() >= BATCH_RECORDS || self.batch_bytes + bytes > BATCH_BYTES;
        if other_stream || (is_full && !self.batch.is_empty()) {
            self.append()?;
        }
        let (id, next) = {
            let shared = self.stream(stream)?;
            (shared.id, shared.state().next)
        };
        let pending = self.origins.get_or_insert_with(|| Pending::at(stream, next));
        pending.push(origin, record.content_checksum());
        self.batch.push((id, record));
        self.batch_bytes += bytes;
        Ok(())
    }

    /// Makes everything durable and closes the queue.
    pub fn finish(mut self) -> Result<Imported, ImportError> {
        self.append()?;
        self.write_journal()?;
        let written = self.opened.committer.persist();
        written.map_err(|source| ImportError::Write { path: self.dir.clone(), source })?;
        Ok(self.imported)
    }

    fn append(&mut self) -> Result<(), ImportError> {
        let Some(pending) = self.origins.take() else { return Ok(()) };
        self.journal.pending = Some(pending.clone());
        self.write_journal()?;
        let records = mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let outcomes = self.opened.committer.commit(&[&records]).pop().unwrap_or_default();
        let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err()).copied();
        if failed == Some(AppendError::StreamFull) {
            // What of it is on disk is seen when the queue is opened next.
            return Err(ImportError::Full { stream: pending.stream });
        }
        for (record, _) in pending.records().zip(&outcomes).filter(|(_, one)| one.is_ok()) {
            self.journal.take(&pending.stream, record.origin);
        }
        self.journal.pending = None;
        if let Some(error) = failed {
            // After a failed sync nobody knows what stays: what may come twice is better than
            // what may be lost.
            self.write_journal()?;
            let path = self.dir.join(&pending.stream);
            return Err(ImportError::Write { path, source: io::Error::other(error) });
        }
        *self.imported.taken.entry(pending.stream).or_default() += records.len() as u64;
        Ok(())
    }

    fn write_journal(&self) -> Result<(), ImportError> {
        self.journal
            .store(&*self.disk, &self.dir)
            .map_err(|source| ImportError::Write { path: self.dir.join("imports"), source })
    }
}
