//! The queue beside raw pwrite + fdatasync, in the same run: `cargo bench --bench queue`.
//!
//! `HOLDFAST_BENCH_DIR` chooses the folder (and so the disk); the default is under `target/`.
//! Every figure is the median of five runs, and raw and queue take turns, since disks have moods.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use holdfast::{
    clock::SystemClock,
    queue::{Environment, NewRecord, Options, Queue, StreamId, StreamOptions},
};
use tokio::runtime::Runtime;

const RUNS: usize = 5;
const PAYLOAD_BYTES: usize = 256;
const BACKLOG: usize = 1_000_000;
/// Batch size and how many batches make a run.
const BATCHES: [(usize, usize); 4] = [(1, 1500), (10, 1500), (100, 1000), (1000, 300)];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--fill-and-die") {
        fill_and_die(Path::new(&arguments[at + 1]));
    }
    let dir = std::env::var_os("HOLDFAST_BENCH_DIR")
        .map_or_else(|| PathBuf::from("target/bench-queue"), PathBuf::from);
    // There is nothing to remove the first time.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("the folder of the benchmark can be made");
    let runtime = Runtime::new().expect("a runtime");
    println!("{PAYLOAD_BYTES} B payloads, median of {RUNS}, in {}", dir.display());
    appends(&runtime, &dir);
    concurrent(&runtime, &dir);
    backlog(&runtime, &dir);
    fs::remove_dir_all(&dir).expect("the folder of the benchmark can be removed");
}

fn appends(runtime: &Runtime, dir: &Path) {
    println!(
        "\n{:>6} {:>12} {:>12} {:>7} {:>10} {:>10}",
        "batch", "raw/s", "queue/s", "ratio", "raw wa", "queue wa"
    );
    for (size, batches) in BATCHES {
        let (mut raw, mut queue) = (Vec::new(), Vec::new());
        let (mut raw_written, mut queue_written) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let (rate, amplification) = raw_run(dir, size, batches);
            raw.push(rate);
            raw_written.push(amplification);
            let (rate, amplification) = runtime.block_on(queue_run(dir, size, batches));
            queue.push(rate);
            queue_written.push(amplification);
        }
        let (raw, queue) = (median(raw), median(queue));
        println!(
            "{size:>6} {raw:>12.0} {queue:>12.0} {:>6.0}% {:>10.2} {:>10.2}",
            queue / raw * 100.0,
            median(raw_written),
            median(queue_written)
        );
    }
    println!("wa: bytes the device wrote for each byte of payload");
}

/// Records per second and write amplification of the plainest durable write there is.
fn raw_run(dir: &Path, size: usize, batches: usize) -> (f64, f64) {
    let path = dir.join("raw");
    let file = File::options().create(true).truncate(true).write(true).open(&path).expect("a file");
    let zeros = vec![0; size * PAYLOAD_BYTES * batches];
    file.write_all_at(&zeros, 0).expect("zeros are written");
    file.sync_all().expect("zeros are synced");
    let batch = payload(size * PAYLOAD_BYTES);
    let measure = Measure::begin();
    for number in 0..batches {
        file.write_all_at(&batch, (number * batch.len()) as u64).expect("a write");
        file.sync_data().expect("a sync");
    }
    let result = measure.end(size * batches);
    fs::remove_file(path).expect("the file is removed");
    result
}

async fn queue_run(dir: &Path, size: usize, batches: usize) -> (f64, f64) {
    let dir = dir.join("append");
    let queue = open(&dir);
    let stream = queue.stream("telemetry").expect("the stream");
    let records = records(stream.id(), size);
    // Once through, so that segments are there to be used again, as they are in service.
    let warm_up = 12 * 1024 * 1024 / (size * PAYLOAD_BYTES);
    for _ in 0..warm_up.min(batches * 2) {
        queue.append(records.clone()).await;
    }
    drain(&queue).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let measure = Measure::begin();
    for _ in 0..batches {
        let outcomes = queue.append(records.clone()).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }
    let result = measure.end(size * batches);
    queue.close().await;
    fs::remove_dir_all(dir).expect("the folder is removed");
    result
}

/// What ingest sees: twenty clients with fifty messages in flight each.
fn concurrent(runtime: &Runtime, dir: &Path) {
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let dir = dir.join("concurrent");
        rates.push(runtime.block_on(async {
            let queue = open(&dir);
            let id = queue.stream("telemetry").expect("the stream").id();
            let begun = Instant::now();
            let clients: Vec<_> = (0..20)
                .map(|_| {
                    let queue = queue.clone();
                    tokio::spawn(async move {
                        let records = records(id, 50);
                        for _ in 0..200 {
                            queue.append(records.clone()).await;
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.expect("a client ends");
            }
            let rate = 20.0 * 50.0 * 200.0 / begun.elapsed().as_secs_f64();
            queue.close().await;
            rate
        }));
        fs::remove_dir_all(dir).expect("the folder is removed");
    }
    println!("\n20 clients × 50 in flight: {:.0} records/s", median(rates));
}

fn backlog(runtime: &Runtime, dir: &Path) {
    let (mut opens, mut reads, mut memory, mut disk) = (vec![], vec![], vec![], vec![]);
    for _ in 0..RUNS {
        let dir = dir.join("backlog");
        let output = Command::new(std::env::current_exe().expect("this program"))
            .arg("--fill-and-die")
            .arg(&dir)
            .output()
            .expect("the child runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        memory.push(text.trim().parse::<f64>().expect("the child's memory"));
        let begun = Instant::now();
        let queue = open(&dir);
        opens.push(begun.elapsed().as_secs_f64() * 1e3);
        reads.push(runtime.block_on(async {
            let begun = Instant::now();
            let read = drain(&queue).await;
            assert_eq!(read, BACKLOG);
            let rate = BACKLOG as f64 / begun.elapsed().as_secs_f64();
            tokio::time::sleep(Duration::from_millis(1500)).await;
            queue.close().await;
            assert!(queue.ledger().balances());
            rate
        }));
        disk.push(folder_bytes(&dir) / 1e6);
        drop(queue);
        fs::remove_dir_all(dir).expect("the folder is removed");
    }
    println!("\nbacklog of {BACKLOG} records");
    println!("memory of the process with it queued: {:.1} MB", median(memory));
    println!("opening it after kill -9:             {:.1} ms", median(opens));
    println!("reading and acknowledging it:         {:.0} records/s", median(reads));
    println!("on disk once drained:                 {:.1} MB", median(disk));
}

/// The child: queues the backlog, prints its memory in MB, and is killed.
fn fill_and_die(dir: &Path) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let queue = open(dir);
        let records = records(queue.stream("telemetry").expect("the stream").id(), 1000);
        for _ in 0..BACKLOG / records.len() {
            queue.append(records.clone()).await;
        }
    });
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    let kilobytes: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("kB");
    println!("{}", kilobytes / 1024.0);
    let myself = std::process::id().to_string();
    // Where it succeeds nobody is left to look at the result.
    let _ = Command::new("kill").args(["-9", &myself]).status();
    unreachable!("killed")
}

async fn drain(queue: &Queue) -> usize {
    let stream = queue.stream("telemetry").expect("the stream");
    let (mut from, mut read) = (stream.floor(), 0);
    loop {
        let chunk = stream.read(from, 1000, 1 << 20).await.expect("a chunk");
        if chunk.records.is_empty() {
            return read;
        }
        for record in &chunk.records {
            assert!(stream.acknowledge(record.sequence));
        }
        read += chunk.records.len();
        from = chunk.next;
    }
}

fn open(dir: &Path) -> Queue {
    let streams = vec![StreamOptions::with_defaults("telemetry")];
    let options = Options { streams, commit_interval: Duration::ZERO };
    Queue::open(dir, options, &Environment::new(Arc::new(SystemClock::new())))
        .expect("the queue opens")
        .0
}

fn records(id: StreamId, count: usize) -> Vec<(StreamId, NewRecord)> {
    let source: Arc<str> = "sensor-0001".into();
    let stamp = SystemClock::new().stamp();
    let payload = Bytes::from(payload(PAYLOAD_BYTES));
    let record = NewRecord { source, topic: "gw-01/sensors/weather".to_owned(), payload, stamp };
    (0..count).map(|_| (id, record.clone())).collect()
}

fn payload(bytes: usize) -> Vec<u8> {
    let mut payload = vec![0; bytes];
    getrandom::fill(&mut payload).expect("random bytes");
    payload
}

struct Measure {
    begun: Instant,
    device_bytes: f64,
}

impl Measure {
    fn begin() -> Self {
        Self { device_bytes: device_bytes(), begun: Instant::now() }
    }

    fn end(self, records: usize) -> (f64, f64) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let written = device_bytes() - self.device_bytes;
        (records as f64 / seconds, written / (records * PAYLOAD_BYTES) as f64)
    }
}

/// Bytes written to all whole disks so far; other programs' writes are among them.
fn device_bytes() -> f64 {
    let stats = fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let sectors = stats.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let whole = Path::new("/sys/block").join(fields.get(2)?).exists();
        let virtual_disk = fields[2].starts_with("loop") || fields[2].starts_with("dm-");
        (whole && !virtual_disk).then(|| fields.get(9)?.parse::<f64>().ok()).flatten()
    });
    sectors.sum::<f64>() * 512.0
}

fn folder_bytes(dir: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(dir).expect("the folder").filter_map(Result::ok);
    let sizes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() {
            folder_bytes(&entry.path())
        } else {
            metadata.blocks() as f64 * 512.0
        })
    });
    sizes.sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
