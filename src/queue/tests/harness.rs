//! A queue on a simulated disk, driven step by step.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Chunk, Clock, Compression, Condition, Counts, Environment, Folder, Health, Keys, Ledger,
    NewRecord, OnFull, ReadError, Record, Recovery, Stamp, StreamId, StreamOptions,
    disk::simulated::SimulatedDisk,
    health,
    open::{Opened, open_streams},
    reader::{self, Limits},
    state::Shared,
    stream,
    writer::Outcome,
};

/// The only stream, unless a test says otherwise.
pub(super) const STREAM: &str = "telemetry";
/// A limit at which segments are as short as they get.
pub(super) const SMALL: u64 = 128 * 1024;

pub(super) fn root() -> PathBuf {
    PathBuf::from("/queue")
}

/// How a stream's frames are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) compression: Compression,
    pub(super) encrypted: bool,
}

impl Coding {
    pub(super) const PLAIN: Self = Self { compression: Compression::None, encrypted: false };

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let every = [Compression::None, Compression::Lz4, Compression::Zstd];
        every
            .into_iter()
            .flat_map(|compression| [false, true].map(|encrypted| Self { compression, encrypted }))
    }

    pub(super) fn name(self) -> String {
        let suffix = if self.encrypted { "-encrypted" } else { "" };
        format!("{:?}{suffix}", self.compression).to_lowercase()
    }

    pub(super) fn keys(self) -> Keys {
        if self.encrypted { Keys::parse(KEY).unwrap() } else { Keys::none() }
    }
}

/// A key for tests.
pub(super) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub(super) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Stamp {
        let monotonic_millis = self.0.load(Ordering::Relaxed);
        Stamp { boot: 1, monotonic_millis, wall_millis: 0, wall_trusted: false }
    }
}

/// xorshift; good enough to scatter faults, and the same everywhere.
#[derive(Debug, Clone)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

#[derive(Debug)]
pub(super) struct Harness {
    pub(super) disk: SimulatedDisk,
    pub(super) clock: Arc<ManualClock>,
    pub(super) options: StreamOptions,
    pub(super) keys: Keys,
    opened: Option<Opened>,
    pub(super) recovery: Recovery,
}

impl Harness {
    pub(super) fn new(bytes_max: u64, on_full: OnFull) -> Self {
        Self::coded(bytes_max, on_full, Coding::PLAIN)
    }

    pub(super) fn coded(bytes_max: u64, on_full: OnFull, coding: Coding) -> Self {
        let compression = coding.compression;
        let options = StreamOptions::with_defaults(STREAM);
        let options = StreamOptions { bytes_max, on_full, compression, ..options };
        Self::with_keys(SimulatedDisk::default(), options, coding.keys())
    }

    pub(super) fn on(disk: SimulatedDisk, options: StreamOptions) -> Self {
        Self::with_keys(disk, options, Keys::none())
    }

    pub(super) fn with_keys(disk: SimulatedDisk, options: StreamOptions, keys: Keys) -> Self {
        let clock = Arc::new(ManualClock(AtomicU64::new(1_000_000)));
        let recovery = Recovery::default();
        let mut harness = Self { disk, clock, options, keys, opened: None, recovery };
        harness.open();
        harness
    }

    /// The folder, for looking into it.
    pub(super) fn folder(&self) -> Folder {
        Folder::on(Arc::new(self.disk.clone()), &root()).with_keys(self.keys.clone())
    }

    pub(super) fn environment(&self) -> Environment {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        Environment { disk: Arc::new(self.disk.clone()), clock, keys: self.keys.clone() }
    }

    pub(super) fn open(&mut self) {
        self.opened = None;
        let opened = open_streams(&root(), vec![self.options.clone()], &self.environment());
        let opened = opened.expect("a queue always opens");
        self.recovery = opened.recovery.clone();
        self.opened = Some(opened);
    }

    /// The process dies; what the operating system has, it keeps.
    pub(super) fn kill(&mut self) {
        self.opened = None;
    }

    pub(super) fn close(&mut self) {
        if let Some(mut opened) = self.opened.take() {
            opened.committer.close();
        }
    }

    fn opened(&mut self) -> &mut Opened {
        self.opened.as_mut().expect("the queue is open")
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.opened.as_ref().expect("the queue is open").streams[0]
    }

    pub(super) fn record(&self, source: &str, payload: impl Into<Vec<u8>>) -> NewRecord {
        NewRecord {
            source: source.into(),
            topic: format!("t/{source}"),
            payload: Bytes::from(payload.into()),
            stamp: self.clock.now(),
        }
    }

    pub(super) fn append(&mut self, records: Vec<NewRecord>) -> Vec<Outcome> {
        let id = self.shared().id;
        let records: Vec<(StreamId, NewRecord)> =
            records.into_iter().map(|record| (id, record)).collect();
        self.opened().committer.commit(&[&records]).remove(0)
    }

    /// Appends `count` records of `bytes` payload bytes in one batch, which must be accepted.
    pub(super) fn fill(&mut self, source: &str, count: usize, bytes: usize) -> Vec<u64> {
        let records = (0..count).map(|_| self.record(source, vec![b'x'; bytes])).collect();
        let outcomes = self.append(records);
        outcomes.into_iter().map(|outcome| outcome.unwrap().unwrap()).collect()
    }

    pub(super) fn tend(&mut self) {
        self.opened().committer.tend();
    }

    pub(super) fn acknowledge(&self, sequence: u64) -> bool {
        stream::acknowledge(self.shared(), sequence).0
    }

    /// Everything that is queued, read in small chunks.
    pub(super) fn read_all(&self) -> Vec<Record> {
        self.read_from(0)
    }

    pub(super) fn read_from(&self, from: u64) -> Vec<Record> {
        self.try_read_from(from).expect("the disk can be read")
    }

    pub(super) fn try_read_from(&self, mut from: u64) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        loop {
            let chunk = self.read_chunk(from, 7, 10_000)?;
            assert!(chunk.next >= from, "reading goes forward");
            if chunk.records.is_empty() {
                assert_eq!(chunk.next, self.shared().state().next, "empty only at the end");
                return Ok(records);
            }
            from = chunk.next;
            records.extend(chunk.records);
        }
    }

    pub(super) fn read_chunk(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Chunk, ReadError> {
        reader::read(self.shared(), from, Limits { records_max, bytes_max })
    }

    pub(super) fn ledger(&self) -> Ledger {
        let streams = &self.opened.as_ref().expect("the queue is open").streams;
        Ledger { streams: streams.iter().map(|shared| shared.ledger()).collect() }
    }

    pub(super) fn health(&self) -> Health {
        health::examine(&self.opened.as_ref().expect("the queue is open").streams)
    }

    pub(super) fn total(&self) -> Counts {
        self.ledger().streams[0].total.clone()
    }

    pub(super) fn counts_of(&self, source: &str) -> Counts {
        let page = self.ledger().streams.remove(0);
        let mut sources = page.sources.into_iter();
        sources.find(|line| line.source == source).map(|line| line.counts).unwrap_or_default()
    }

    pub(super) fn condition(&self) -> Condition {
        self.shared().state().troubles.condition()
    }

    /// The ledger balances, in memory and on disk, and what it calls queued can be read.
    pub(super) fn check(&self) -> Vec<Record> {
        let (records, ledger) = (self.check_the_sums(), self.ledger());
        let mut queued = std::collections::BTreeMap::<_, u64>::new();
        for record in &records {
            *queued.entry(record.source.to_string()).or_default() += 1;
        }
        for line in &ledger.streams[0].sources {
            let there = queued.get(&line.source).copied().unwrap_or(0);
            assert_eq!(line.counts.queued, there, "{}: {ledger:#?}", line.source);
        }
        records
    }

    /// The same where damage has left nothing that says whose records were lost, so that each
    /// source's sum is right and only the guess, at whose they were, need not be.
    pub(super) fn check_the_sums(&self) -> Vec<Record> {
        let records = self.read_all();
        let ledger = self.ledger();
        assert!(ledger.balances(), "{ledger:#?}");
        assert_eq!(ledger.streams[0].total.queued as usize, records.len(), "{ledger:#?}");
        let on_disk = self.folder().ledger().unwrap();
        assert!(on_disk.balances(), "on disk: {on_disk:#?}");
        records
    }
}

pub(super) fn sequences(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.sequence).collect()
}
