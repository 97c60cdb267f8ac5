//! The folder, and how a stream in it is looked at.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;

use crate::{
    Keys,
    bodies::KeyMissing,
    disk::{Disk, RealDisk, is_no_damage},
    open::stream_folders,
    recovery::{Assessment, assess},
    segment::{self, SegmentName},
    settled::Settled,
    survey::Survey,
};

/// A running gateway may change the folder while it is read; then it is read again, at most this
/// often.
pub(super) const TRIES: usize = 5;
/// And after this long, in which a write that was caught half done is over.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a folder could not be looked into.
#[derive(Debug, Error)]
pub enum InspectError {
    /// It cannot be read, or a later version wrote it.
    #[error("{dir} cannot be read: {source}")]
    Io {
        /// The folder.
        dir: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is encrypted, and the key is not among those given.
    #[error("{dir} cannot be read: {source}")]
    KeyMissing {
        /// The folder.
        dir: String,
        /// Which segment, and which key.
        source: io::Error,
    },
    /// There is no such stream in it.
    #[error("there is no stream `{stream}` in {dir}; there is {}", listed(there))]
    NoStream {
        /// The folder.
        dir: String,
        /// What was asked for.
        stream: String,
        /// The streams that there are.
        there: Vec<String>,
    },
}

fn listed(streams: &[String]) -> String {
    if streams.is_empty() { "none".to_owned() } else { streams.join(", ") }
}

/// A queue's folder, open for looking.
#[derive(Debug, Clone)]
pub struct Folder {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    keys: Keys,
    pause: Duration,
}

/// What a look at one segment brought.
#[derive(Debug)]
pub(super) enum Sight {
    Seen(Box<Survey>),
    /// A running gateway has given it back since the stream was assessed: all of it is settled.
    Gone,
    Unreadable(io::Error),
}

/// One of a stream's segments, as the assessment found them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) name: SegmentName,
    /// The sequence after the last that it may hold.
    pub(super) end: u64,
    pub(super) file_bytes: u64,
    pub(super) data_end: u64,
}

impl Part {
    pub(super) fn queued(&self, settled: &Settled) -> u64 {
        settled.open_count(self.name.base..self.end)
    }
}

impl Folder {
    /// The folder of a queue, `queue` in a gateway's data folder.
    pub fn new(dir: &Path) -> Self {
        Self { disk: Arc::new(RealDisk), dir: dir.to_owned(), keys: Keys::none(), pause: PAUSE }
    }

    /// The same on any disk, one that changes only when it is told to.
    pub fn on(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_owned(), keys: Keys::none(), pause: Duration::ZERO }
    }

    /// The same with the keys of an encrypted queue.
    #[must_use]
    pub fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// The folder's path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names of the streams in it, sorted.
    pub fn streams(&self) -> Result<Vec<String>, InspectError> {
        self.names().map_err(|source| self.failed(source))
    }

    /// Whether there is anything of a queue in it; a folder of another kind may look like one
    /// with many empty streams.
    pub fn holds_a_queue(&self) -> Result<bool, InspectError> {
        let looks_like_it = |name: &str| -> io::Result<bool> {
            let entries = self.disk.list(&self.dir.join(name))?;
            let known = |name: &str| SegmentName::parse(name).is_some() || name == "cursor.0";
            Ok(entries.iter().any(|entry| known(&entry.name)))
        };
        let names = self.streams()?;
        for name in names {
            if looks_like_it(&name).map_err(|source| self.failed(source))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = stream_folders(&*self.disk, &self.dir)?;
        names.sort();
        Ok(names)
    }

    pub(super) fn failed(&self, source: io::Error) -> InspectError {
        let dir = self.dir.display().to_string();
        if KeyMissing::is(&source) {
            return InspectError::KeyMissing { dir, source };
        }
        InspectError::Io { dir, source }
    }

    /// Refuses a stream that is not there.
    pub(super) fn expect(&self, stream: &str) -> Result<(), InspectError> {
        let there = self.streams()?;
        if there.iter().any(|name| name == stream) {
            return Ok(());
        }
        let dir = self.dir.display().to_string();
        Err(InspectError::NoStream { dir, stream: stream.to_owned(), there })
    }

    /// Assesses until two looks agree on whether anything is wrong, so that a batch caught half
    /// written, or a segment given back meanwhile, is not taken for damage.
    pub(super) fn assess(&self, stream: &str) -> io::Result<Assessment> {
        let stream_dir = self.dir.join(stream);
        let mut found = assess(&*self.disk, &self.keys, &stream_dir, stream)?;
        for _ in 1..TRIES {
            if found.report.is_clean() {
                break;
            }
            self.pause();
            let again = assess(&*self.disk, &self.keys, &stream_dir, stream)?;
            let steady = again.report == found.report;
            found = again;
            if steady {
                break;
            }
        }
        Ok(found)
    }

    /// Waits for a write that is under way.
    pub(super) fn pause(&self) {
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause);
        }
    }

    /// Reads one segment. Everything that looks at records comes through here.
    pub(super) fn look_at(&self, stream: &str, part: Part) -> io::Result<Sight> {
        let dir = self.dir.join(stream);
        let survey = match Survey::of(&*self.disk, &self.keys, &dir, part.name, part.end) {
            Ok(survey) => survey,
            Err(error) if is_no_damage(&error) => return Err(error),
            Err(error) => return Ok(Sight::Unreadable(error)),
        };
        // After the reading, in which the file may have been given a new life.
        match segment::open(&*self.disk, &dir, part.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Sight::Gone),
            _ => Ok(Sight::Seen(Box::new(survey))),
        }
    }
}

/// The segments of an assessed stream, oldest first.
pub(super) fn parts(found: &Assessment) -> Vec<Part> {
    let bases = found.segments.iter().map(|segment| segment.name.base);
    let ends = bases.skip(1).chain([found.next]);
    let parts = found.segments.iter().zip(ends).map(|(segment, end)| Part {
        name: segment.name,
        end,
        file_bytes: segment.file_bytes,
        data_end: segment.data_end,
    });
    parts.collect()
}
