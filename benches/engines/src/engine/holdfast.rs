//! Our queue, with its defaults.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use holdfast_queue::{
    Clock, Environment, NewRecord, Options, Queue, Stamp, Stream, StreamId, StreamOptions,
};
use tokio::runtime::Runtime;

use super::{DRAIN_BATCH, Engine};

const STREAM: &str = "telemetry";
const SOURCE: &str = "sensor-0001";
const TOPIC: &str = "gw-01/sensors/weather";
/// One read brings no more than this.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// Segments are given back within a second; longer than this is not waited for.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);
const SETTLE_POLL: Duration = Duration::from_millis(20);
/// Nothing was given back for so long: it is done.
const SETTLE_QUIET: Duration = Duration::from_millis(1200);

/// The queue and a runtime to wait on it with.
#[derive(Debug)]
pub struct Holdfast {
    runtime: Runtime,
    queue: Queue,
    stream: Stream,
    source: Arc<str>,
}

#[derive(Debug)]
struct WallClock(Instant);

impl Clock for WallClock {
    fn now(&self) -> Stamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Stamp {
            boot: 1,
            monotonic_millis: self.0.elapsed().as_millis() as u64,
            wall_millis: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            wall_trusted: true,
        }
    }
}

impl Holdfast {
    /// Opens the queue in a folder.
    pub fn open(dir: &Path) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let streams = vec![StreamOptions::with_defaults(STREAM)];
        let options = Options { streams, commit_interval: Duration::ZERO };
        let environment = Environment::new(Arc::new(WallClock(Instant::now())));
        let (queue, _) = Queue::open(dir, options, &environment).expect("the queue opens");
        let stream = queue.stream(STREAM).expect("the stream");
        Self { runtime, queue, stream, source: SOURCE.into() }
    }

    /// Clients that append at once, each so many batches; messages per second.
    pub fn append_from_many(&mut self, clients: usize, batches: usize, batch: &[Bytes]) -> f64 {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let (queue, records) = (self.queue.clone(), self.records(batch));
                self.runtime.spawn(async move {
                    for _ in 0..batches {
                        let outcomes = queue.append(records.clone()).await;
                        assert!(outcomes.iter().all(Result::is_ok), "the batch is taken in");
                    }
                })
            })
            .collect();
        for task in tasks {
            self.runtime.block_on(task).expect("a client ends");
        }
        (clients * batches * batch.len()) as f64 / begun.elapsed().as_secs_f64()
    }

    fn records(&self, batch: &[Bytes]) -> Vec<(StreamId, NewRecord)> {
        let id = self.stream.id();
        let stamp = Stamp {
            boot: 1,
            monotonic_millis: 86_461_007,
            wall_millis: 1_800_000_000_000,
            wall_trusted: false,
        };
        let records = batch.iter().map(|payload| {
            let source = Arc::clone(&self.source);
            let payload = payload.clone();
            (id, NewRecord { source, topic: TOPIC.to_owned(), payload, stamp })
        });
        records.collect()
    }
}

impl Engine for Holdfast {
    fn append(&mut self, batch: &[Bytes]) {
        let records = self.records(batch);
        let outcomes = self.runtime.block_on(self.queue.append(records));
        assert!(outcomes.iter().all(Result::is_ok), "the batch is taken in");
    }

    fn has_first(&mut self) -> bool {
        let read = self.runtime.block_on(self.stream.read(self.stream.floor(), 1, READ_BYTES_MAX));
        read.is_ok_and(|chunk| !chunk.records.is_empty())
    }

    fn drain(&mut self) -> usize {
        let (mut from, mut drained) = (self.stream.floor(), 0);
        loop {
            let read = self.stream.read(from, DRAIN_BATCH, READ_BYTES_MAX);
            let chunk = self.runtime.block_on(read).expect("a chunk");
            if chunk.records.is_empty() {
                return drained;
            }
            for record in &chunk.records {
                assert!(self.stream.acknowledge(record.sequence), "acknowledged once");
            }
            drained += chunk.records.len();
            from = chunk.next;
        }
    }

    fn settle(&mut self) {
        let taken = || self.queue.health().streams.iter().map(|stream| stream.disk_bytes).sum();
        let begun = Instant::now();
        let (mut least, mut since): (u64, _) = (taken(), Instant::now());
        while begun.elapsed() < SETTLE_LIMIT && since.elapsed() < SETTLE_QUIET {
            std::thread::sleep(SETTLE_POLL);
            let now = taken();
            if now < least {
                (least, since) = (now, Instant::now());
            }
        }
    }

    fn close(self: Box<Self>) {
        self.runtime.block_on(self.queue.close());
        assert!(self.queue.ledger().balances(), "every message is accounted for");
    }
}
