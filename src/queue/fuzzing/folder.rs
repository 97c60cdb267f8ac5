//! A stream's folder on a disk in memory, and the queue over it.

use std::{path::PathBuf, sync::Arc};

use crate::{
    AppendError, Clock, Compression, Environment, Keys, Ledger, NewRecord, OnFull, OpenError,
    ReadError, Record, Stamp, StreamId, StreamOptions,
    bodies::{BodyError, BodyReader, BodyWriter},
    disk::{Disk as _, simulated::SimulatedDisk},
    frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader},
    open::{Opened, open_streams},
    reader::{self, Limits},
    segment::{FORMAT_VERSION, SegmentName},
    state::Shared,
    stream,
};

/// A limit at which segments are as short as they get.
const BYTES_MAX: u64 = 128 * 1024;
const STREAM: &str = "telemetry";

/// What cannot be told apart from real time: it stands still.
#[derive(Debug)]
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Stamp {
        Stamp { boot: 1, monotonic_millis: 1_000_000, wall_millis: 0, wall_trusted: false }
    }
}

/// The folder; it outlives the queues that are opened over it.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) disk: SimulatedDisk,
    pub(super) keys: Keys,
    options: StreamOptions,
}

impl Folder {
    pub(super) fn new(on_full: OnFull, compression: Compression, is_encrypted: bool) -> Self {
        let options = StreamOptions::with_defaults(STREAM);
        let options = StreamOptions { bytes_max: BYTES_MAX, on_full, compression, ..options };
        let key = is_encrypted.then(|| Keys::parse(&"5".repeat(64)).expect("it is a key"));
        let keys = key.unwrap_or_else(Keys::none);
        let folder = Self { disk: SimulatedDisk::default(), keys, options };
        folder.disk.create_dir(&stream_dir()).expect("nothing is in the way");
        folder
    }

    pub(super) fn open(&self) -> Result<Session, OpenError> {
        let disk = Arc::new(self.disk.clone());
        let (clock, keys) = (Arc::new(StandingClock), self.keys.clone());
        let environment = Environment { disk, clock, keys };
        open_streams(&root(), vec![self.options.clone()], &environment).map(Session)
    }

    /// What the tools see, which look at the folder of a queue that is not theirs.
    pub(super) fn outside(&self) -> crate::Folder {
        crate::Folder::on(Arc::new(self.disk.clone()), &root()).with_keys(self.keys.clone())
    }

    /// The files of the stream's folder in the order of their names, but for the ballast.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let paths = self.disk.paths().into_iter();
        let here = paths.filter(|path| path.parent() == Some(&stream_dir()));
        here.filter(|path| !path.ends_with("ballast")).collect()
    }

    /// Puts a file there, over any of that name.
    pub(super) fn put(&self, file_name: &str, content: &[u8]) {
        let path = stream_dir().join(file_name);
        if !self.disk.paths().contains(&path) {
            self.disk.create(&path).expect("the name is free");
        }
        self.disk.set_content(&path, content);
    }

    pub(super) fn highest_generation(&self) -> u32 {
        let names = self.files().into_iter().filter_map(|path| segment_name(&path));
        names.map(SegmentName::generation).max().unwrap_or(0)
    }

    /// What encodes the frames of a segment of this folder.
    pub(super) fn bodies(&self, name: SegmentName) -> BodyWriter {
        BodyWriter::new(&self.keys, self.options.compression, name)
    }

    /// Whether there is a reason not to read a segment: it claims to be of a later version, or
    /// encrypted with another key. Mending makes the checksum of a frame right whose content is
    /// chance; to whoever reads it, that is another key with the same tag.
    pub(super) fn may_be_refused(&self) -> bool {
        let known = self.keys.current().map(|tag| tag.0.to_le_bytes());
        let mut segments = self.files().into_iter().filter(|path| segment_name(path).is_some());
        segments.any(|path| {
            let content = self.disk.content(&path);
            let version = content.get(8..10).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]));
            let is_foreign = |front: &[u8]| {
                let is_encrypted = front[..4] == FRAME_MAGIC && front[4] >> 4 != 0;
                is_encrypted && Some([front[6], front[7]]) != known
            };
            version > FORMAT_VERSION
                || content.windows(8).any(is_foreign)
                || self.is_unfit(&content, segment_name(&path))
        })
    }

    /// Whether any frame is intact and cannot be opened with the key of its tag.
    fn is_unfit(&self, content: &[u8], name: Option<SegmentName>) -> bool {
        let Some(name) = name else { return false };
        let bodies = BodyReader::new(&self.keys, name);
        (0..content.len()).any(|at| {
            let Some(header) = FrameHeader::decode(&content[at..], name.salt()) else {
                return false;
            };
            let start = at + FRAME_HEADER_BYTES;
            let body = content.get(start..start + header.body_bytes as usize).unwrap_or_default();
            header.body_is_intact(body, name.salt())
                && matches!(bodies.decode(&header, body), Err(BodyError::KeyUnfit(_)))
        })
    }
}

fn root() -> PathBuf {
    PathBuf::from("/queue")
}

fn stream_dir() -> PathBuf {
    root().join(STREAM)
}

pub(super) fn segment_name(path: &std::path::Path) -> Option<SegmentName> {
    SegmentName::parse(path.file_name()?.to_str()?)
}

/// An open queue without threads.
#[derive(Debug)]
pub(super) struct Session(Opened);

impl Session {
    fn shared(&self) -> &Arc<Shared> {
        &self.0.streams[0]
    }

    pub(super) fn next(&self) -> u64 {
        self.shared().state().next
    }

    pub(super) fn append(
        &mut self,
        records: Vec<NewRecord>,
    ) -> Vec<Result<Option<u64>, AppendError>> {
        let id = self.shared().id;
        let records: Vec<(StreamId, NewRecord)> =
            records.into_iter().map(|record| (id, record)).collect();
        self.0.committer.commit(&[&records]).remove(0)
    }

    pub(super) fn acknowledge(&self, sequence: u64) -> bool {
        stream::acknowledge(self.shared(), sequence).0
    }

    pub(super) fn tend(&mut self) {
        self.0.committer.tend();
    }

    pub(super) fn close(mut self) {
        self.0.committer.close();
    }

    pub(super) fn ledger(&self) -> Ledger {
        Ledger { streams: self.0.streams.iter().map(|shared| shared.ledger()).collect() }
    }

    /// Everything that is queued, in small chunks.
    pub(super) fn read_all(&self) -> Result<Vec<Record>, ReadError> {
        let limits = Limits { records_max: 7, bytes_max: 10_000 };
        let (mut records, mut from) = (Vec::new(), 0);
        loop {
            let chunk = reader::read(self.shared(), from, limits)?;
            assert!(chunk.next >= from, "reading goes forward");
            if chunk.records.is_empty() {
                assert_eq!(chunk.next, self.next(), "empty only at the durable end");
                return Ok(records);
            }
            assert!(chunk.next > from, "records bring the reader on");
            from = chunk.next;
            records.extend(chunk.records);
        }
    }
}

pub(super) fn new_record(source: &str, payload: Vec<u8>) -> NewRecord {
    NewRecord {
        source: source.into(),
        topic: format!("t/{source}"),
        payload: payload.into(),
        stamp: StandingClock.now(),
    }
}
