//! Bodies as the queue writes them.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_queue::{Clock, Environment, NewRecord, Options, Queue, Stamp, StreamOptions};

/// The frame's header in the queue's format, version 1.
const FRAME_MAGIC: &[u8; 4] = b"HFB1";
const FRAME_HEADER_BYTES: usize = 32;
const FRAME_BODY_BYTES_AT: usize = 12;
/// A gateway's stamps do not fall on whole minutes.
const STEP_MILLIS: u64 = 60_000 + 37;
const WALL_MILLIS: i64 = 1_451_632_800_123;
const BOOT: u64 = 0x5d3f_91c2_77e0_4ab6;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Stamp {
        stamp(0)
    }
}

fn stamp(number: u64) -> Stamp {
    // Jitter as a network and a scheduler bring it: some milliseconds, never the same.
    let jitter = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
    let millis = number * STEP_MILLIS + jitter;
    Stamp {
        boot: BOOT,
        monotonic_millis: 86_461_007 + millis,
        wall_millis: WALL_MILLIS + millis as i64,
        wall_trusted: true,
    }
}

/// The samples, `count` to a body; what is left over at the end is left out.
pub fn of(samples: &[&str], count: usize) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(write(dir.path(), samples, count));
    let stream = dir.path().join("telemetry");
    let mut segments: Vec<_> = fs::read_dir(stream)
        .expect("the stream's folder")
        .map(|entry| entry.expect("a name").path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "seg"))
        .collect();
    segments.sort();
    let mut frames = segments
        .iter()
        .flat_map(|path| frames_of(&fs::read(path).expect("a segment")))
        .collect::<Vec<_>>()
        .into_iter();
    // A long batch is several frames; records do not care where one ends.
    let mut bodies = Vec::new();
    for _ in 0..samples.len() / count {
        let (mut body, mut records) = (Vec::new(), 0);
        while records < count {
            let (held, bytes) = frames.next().expect("the frames of the batch");
            records += held;
            body.extend(bytes);
        }
        bodies.push(body);
    }
    bodies
}

async fn write(dir: &Path, samples: &[&str], count: usize) {
    let streams = vec![StreamOptions::with_defaults("telemetry")];
    let options = Options { streams, commit_interval: Duration::ZERO };
    let (queue, _) = Queue::open(dir, options, &Environment::new(Arc::new(Still))).expect("opened");
    let id = queue.stream("telemetry").expect("the stream").id();
    let mut number = 0;
    for batch in samples.chunks_exact(count) {
        let records = batch.iter().map(|sample| {
            number += 1;
            (id, record(sample, number))
        });
        let outcomes = queue.append(records.collect()).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }
    queue.close().await;
}

fn record(sample: &str, number: u64) -> NewRecord {
    let station = sample.split('"').nth(3).expect("the station's name").to_lowercase();
    NewRecord {
        topic: format!("gw-01/weather/{station}/telemetry"),
        source: station.into(),
        payload: Bytes::copy_from_slice(sample.as_bytes()),
        stamp: stamp(number),
    }
}

/// Records and body of each frame.
fn frames_of(segment: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let word = |at: usize| -> usize {
        let bytes = segment[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    let mut at = word(12);
    let mut frames = Vec::new();
    while segment.get(at..at + 4) == Some(FRAME_MAGIC) {
        let body = at + FRAME_HEADER_BYTES;
        let bytes = word(at + FRAME_BODY_BYTES_AT);
        frames.push((word(at + 8), segment[body..body + bytes].to_vec()));
        at = body + bytes;
    }
    frames
}
