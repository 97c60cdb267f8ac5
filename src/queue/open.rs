//! Opening a queue: the lock, the recovery of every stream, the commit thread.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use super::{
    Clock, Keys, Options, Queue, Recovery, StreamId, StreamOptions,
    bodies::KeyMissing,
    commit::Committer,
    disk::{CountedDisk, Disk, Lock, RealDisk},
    import,
    recovery::{self, Assessment},
    segment,
    state::{Shared, State},
    store::Store,
    wear::Meter,
    writer::Writer,
};

const LOCK: &str = "lock";
/// The most streams of one queue.
const STREAMS_MAX: usize = 1024;
/// The longest name of a stream.
const STREAM_NAME_BYTES_MAX: usize = 32;

/// What the queue stands on.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where it keeps its files.
    pub disk: Arc<dyn Disk>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What its segments are encrypted with.
    pub keys: Keys,
}

impl Environment {
    /// The real disk, this clock, and no encryption.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { disk: Arc::new(RealDisk), clock, keys: Keys::none() }
    }
}

/// Why the queue could not be opened. Damage is no reason.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another gateway has it open. Expected: it is not a fault of the folder.
    #[error("{0} is in use by another gateway; stop that one, or give this one its own data_dir")]
    InUse(PathBuf),
    /// The folder was written by a later version.
    #[error("{dir} cannot be opened: {source}; use that version or a later one")]
    Newer {
        /// The stream's folder.
        dir: PathBuf,
        /// What is later.
        source: io::Error,
    },
    /// The folder is encrypted, and the key is not among those given.
    #[error("{dir} cannot be opened: {source}")]
    KeyMissing {
        /// The stream's folder.
        dir: PathBuf,
        /// Which segment, and which key.
        source: io::Error,
    },
    /// The folder cannot be used.
    #[error("{path} cannot be used: {source}; it must be a folder that this user may write to")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A stream's name cannot be a folder's.
    #[error("stream name `{0}`: 1 to 32 of a-z, 0-9, `_` and `-`, each name once")]
    StreamName(String),
    /// There are too many streams.
    #[error("{0} streams, and there may be at most {STREAMS_MAX}")]
    TooManyStreams(usize),
}

/// A queue that is open and has no thread yet.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) streams: Vec<Arc<Shared>>,
    pub(super) committer: Committer,
    pub(super) recovery: Recovery,
    pub(super) lock: Box<dyn Lock>,
}

pub(super) fn open(
    dir: &Path,
    options: Options,
    environment: &Environment,
) -> Result<(Queue, Recovery), OpenError> {
    let opened = open_streams(dir, options.streams, environment)?;
    let Opened { streams, committer, recovery, lock } = opened;
    let queue = Queue::start(streams, committer, options.commit_interval, lock)
        .map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
    Ok((queue, recovery))
}

pub(super) fn open_streams(
    dir: &Path,
    configured: Vec<StreamOptions>,
    environment: &Environment,
) -> Result<Opened, OpenError> {
    let disk = &environment.disk;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    disk.create_dir(dir).map_err(failed(dir))?;
    let lock = lock(&**disk, dir)?;
    let found = stream_folders(&**disk, dir).map_err(failed(dir))?;
    let mut assessed = Vec::new();
    for (number, options) in all_streams(configured, found)?.into_iter().enumerate() {
        assessed.push(Assessed::stream(dir, StreamId(number as u16), options, environment)?);
    }
    // From here on files are changed, and no stream refuses any more.
    let mut recovery = Recovery::default();
    let (streams, writers): (Vec<_>, Vec<_>) =
        assessed.into_iter().map(|stream| stream.open(environment, &mut recovery)).unzip();
    import::settle_pending(&**disk, dir, &streams, &mut recovery);
    Ok(Opened { streams, committer: Committer::new(writers), recovery, lock })
}

/// Takes the lock that a gateway holds while it has the queue open.
pub(super) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Lock>, OpenError> {
    let path = dir.join(LOCK);
    disk.lock(&path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::InUse(dir.to_owned()),
        _ => OpenError::Io { path, source },
    })
}

/// The stream folders of a queue's folder.
pub(super) fn stream_folders(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<String>> {
    let folders = disk.list(dir)?.into_iter().filter(|entry| entry.is_dir);
    Ok(folders.map(|entry| entry.name).filter(|name| is_stream_name(name)).collect())
}

fn is_stream_name(name: &str) -> bool {
    (1..=STREAM_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn all_streams(
    mut streams: Vec<StreamOptions>,
    found: Vec<String>,
) -> Result<Vec<StreamOptions>, OpenError> {
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    let twice = streams.windows(2).find(|pair| pair[0].name == pair[1].name).map(|pair| &pair[0]);
    if let Some(wrong) = twice.or(streams.iter().find(|stream| !is_stream_name(&stream.name))) {
        return Err(OpenError::StreamName(wrong.name.clone()));
    }
    for name in found {
        if !streams.iter().any(|stream| stream.name == name) {
            streams.push(StreamOptions::with_defaults(&name));
        }
    }
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    if streams.len() > STREAMS_MAX {
        return Err(OpenError::TooManyStreams(streams.len()));
    }
    Ok(streams)
}

/// A stream that can be opened; nothing in its folder was changed yet.
struct Assessed {
    id: StreamId,
    options: StreamOptions,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    meter: Arc<Meter>,
    found: Assessment,
}

impl Assessed {
    fn stream(
        dir: &Path,
        id: StreamId,
        options: StreamOptions,
        environment: &Environment,
    ) -> Result<Self, OpenError> {
        let dir = dir.join(&options.name);
        let meter = Arc::<Meter>::default();
        let disk = CountedDisk::new(Arc::clone(&environment.disk), Arc::clone(&meter));
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let found = disk
            .create_dir(&dir)
            .and_then(|()| recovery::assess(&*disk, &environment.keys, &dir, &options.name));
        let found = found.map_err(|source| match source.kind() {
            io::ErrorKind::Unsupported if KeyMissing::is(&source) => {
                OpenError::KeyMissing { dir: dir.clone(), source }
            }
            io::ErrorKind::Unsupported => OpenError::Newer { dir: dir.clone(), source },
            _ => OpenError::Io { path: dir.clone(), source },
        })?;
        Ok(Self { id, options, dir, disk, meter, found })
    }

    /// Does what the assessment calls for.
    fn open(self, environment: &Environment, recovery: &mut Recovery) -> (Arc<Shared>, Writer) {
        let Self { id, options, dir, disk, meter, found } = self;
        let Assessment { next, settled, accounts, segments, dead, spares, report, cut_out, .. } =
            found;
        cut_out.keep(&*disk, &dir, options.bytes_max);
        let intact = report.damage.is_empty();
        recovery.take_in(report);
        let mut store = Store::new(
            Arc::clone(&disk),
            &dir,
            options.bytes_max,
            found.segment_generation,
            found.cursor_generation,
        );
        let state = State { next, settled, accounts, segments, ..State::default() };
        let metered = Environment { disk: Arc::clone(&disk), ..environment.clone() };
        let shared = Shared::new(id, options, dir.clone(), metered, meter, state);
        if let Err(error) = store.reserve() {
            recovery.notes.push(format!("{}: no space in reserve: {error}", dir.display()));
        }
        if let Err(error) = sync_last(&shared) {
            recovery.notes.push(format!(
                "{}: the last segment cannot be synced: {error}; a power cut may take some of it",
                dir.display()
            ));
        }
        // The cursor first: what it says must be on disk before anything is removed. If it cannot
        // be written, the files stay, and the stream's condition says so.
        match store.persist(&shared) {
            Ok(()) => {
                for file_name in &dead {
                    store.discard(file_name);
                }
                // At once, before another stream takes what was just given back. Without space it
                // is tried again in the regular work.
                let _ = store.adopt(&shared, spares).and_then(|()| store.lay_by_a_spare(&shared));
            }
            Err(error) => {
                recovery
                    .notes
                    .push(format!("{}: the cursor cannot be written: {error}", dir.display()));
            }
        }
        if intact && let Some(last) = shared.state().segments.back_mut() {
            // Restarts would use up the stream's limit otherwise, a segment each. Without it
            // being trimmed nothing is lost but space.
            let _ = store.trim(last);
        }
        shared.observe();
        let shared = Arc::new(shared);
        (Arc::clone(&shared), Writer::new(shared, store))
    }
}

/// What a gateway that was killed had written and not synced can be read; before it is handed
/// out, it must be safe from a power cut. All segments before the last were synced when it was
/// begun.
fn sync_last(shared: &Shared) -> io::Result<()> {
    let last = shared.state().segments.back().map(|last| last.name);
    let Some(last) = last else { return Ok(()) };
    segment::open(&*shared.disk, &shared.dir, last)?.sync()
}
