//! What `commit_interval` buys and costs: `cargo bench --bench wear`.
//!
//! A hundred messages a second of 256 B, each appended by itself as so many devices do, for
//! several intervals. Written bytes are those that the queue hands to the disk, in whole pages of
//! 4 KiB, its cursor and headers included; the kernel's count for this process stands beside it.
//! `HOLDFAST_BENCH_DIR` chooses the folder, `--seconds N` how long each interval is measured.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use holdfast::{
    clock::SystemClock,
    queue::{Environment, NewRecord, Options, Queue, StreamId, StreamOptions, flash_life_years},
};
use tokio::{runtime::Runtime, task::JoinSet, time::MissedTickBehavior};

const PAYLOAD_BYTES: usize = 256;
const MESSAGES_PER_SECOND: u64 = 100;
const INTERVALS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];
/// The card of the last column.
const CARD_BYTES: u64 = 16_000_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = seconds.map_or(30, |at| arguments[at + 1].parse().expect("a number of seconds"));
    let dir = std::env::var_os("HOLDFAST_BENCH_DIR")
        .map_or_else(|| PathBuf::from("target/bench-wear"), PathBuf::from);
    let runtime = Runtime::new().expect("a runtime");
    println!(
        "{MESSAGES_PER_SECOND} messages/s of {PAYLOAD_BYTES} B for {seconds} s each, in {}",
        dir.display()
    );
    println!(
        "{:>9} {:>10} {:>11} {:>13} {:>10} {:>9} {:>9} {:>12}",
        "interval",
        "B/message",
        "B/m kernel",
        "messages/sync",
        "syncs/s",
        "median",
        "p99",
        "16 GB lasts"
    );
    for interval in INTERVALS {
        // There is nothing to remove the first time.
        let _ = fs::remove_dir_all(&dir);
        runtime.block_on(measure(&dir, interval, seconds));
    }
    fs::remove_dir_all(&dir).expect("the folder of the benchmark can be removed");
}

async fn measure(dir: &Path, interval: Duration, seconds: u64) {
    let queue = open(dir, interval);
    let id = queue.stream("telemetry").expect("the stream").id();
    let (wear_before, kernel_before) = (wear(&queue), kernel_bytes());
    let begun = Instant::now();
    let mut latencies = publish(&queue, id, seconds * MESSAGES_PER_SECOND).await;
    let elapsed = begun.elapsed().as_secs_f64();
    let (wear, kernel) = (wear(&queue), kernel_bytes() - kernel_before);
    let written = (wear.written_bytes() - wear_before.written_bytes()) as f64;
    let syncs = (wear.syncs - wear_before.syncs) as f64;
    latencies.sort();
    let count = latencies.len();
    println!(
        "{:>9} {:>10.0} {:>11.0} {:>13.1} {:>10.1} {:>9.1?} {:>9.1?} {:>10.1} y",
        format!("{interval:?}"),
        written / count as f64,
        kernel / count as f64,
        count as f64 / syncs,
        syncs / elapsed,
        latencies[count / 2],
        latencies[count * 99 / 100],
        flash_life_years(CARD_BYTES, written / elapsed).expect("something was written"),
    );
    queue.close().await;
}

/// Appends one message after the other, by the clock; how long each took.
async fn publish(queue: &Queue, id: StreamId, count: u64) -> Vec<Duration> {
    let record = record();
    let mut tick = tokio::time::interval(Duration::from_millis(1000 / MESSAGES_PER_SECOND));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut appends = JoinSet::new();
    for _ in 0..count {
        tick.tick().await;
        let (queue, record) = (queue.clone(), record.clone());
        appends.spawn(async move {
            let begun = Instant::now();
            let outcome = queue.append(vec![(id, record)]).await;
            assert!(outcome[0].is_ok());
            begun.elapsed()
        });
    }
    appends.join_all().await
}

fn open(dir: &Path, commit_interval: Duration) -> Queue {
    let options =
        Options { streams: vec![StreamOptions::with_defaults("telemetry")], commit_interval };
    Queue::open(dir, options, &Environment::new(Arc::new(SystemClock::new())))
        .expect("the queue opens")
        .0
}

fn record() -> NewRecord {
    let mut payload = vec![0; PAYLOAD_BYTES];
    getrandom::fill(&mut payload).expect("random bytes");
    NewRecord {
        source: "sensor-0001".into(),
        topic: "gw-01/sensors/weather".to_owned(),
        payload: Bytes::from(payload),
        stamp: SystemClock::new().stamp(),
    }
}

fn wear(queue: &Queue) -> holdfast::queue::Wear {
    queue.health().streams.remove(0).wear
}

/// What the kernel says this process has sent to the block layer.
fn kernel_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(f64::NAN)
}
