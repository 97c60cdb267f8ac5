//! What lz4 and zstd make of the queue's frames, on real telemetry:
//! `cargo run --release --manifest-path benches/compression/Cargo.toml`.
//!
//! A body is what the queue itself wrote for so many samples: it is read back from a segment.
//! Ratios are over all bodies of a file; speeds are in processor time, the best of several rounds
//! over all of them, so that a busy machine matters little.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod bodies;
mod codec;

use codec::Codec;
use rustix::time::{ClockId, clock_gettime};

/// Samples in a body; 70, 140 and 280 are 16, 32 and 64 KiB of them.
const COUNTS: [usize; 10] = [1, 4, 10, 30, 70, 100, 140, 280, 300, 1000];
/// How long each codec is timed, each way, in each round.
const SECONDS_TIMED: f64 = 0.06;
/// Speeds are the best of this many rounds.
const ROUNDS: usize = 5;

const FILES: [(&str, &str); 2] = [
    ("one station, a sample each minute", include_str!("../data/minutely.jsonl")),
    ("three stations, a sample each hour", include_str!("../data/hourly.jsonl")),
];

fn main() {
    for (name, text) in FILES {
        let samples: Vec<&str> = text.lines().collect();
        let payload = text.len() / samples.len() - 1;
        println!("\n{name}: {} samples of {payload} B\n", samples.len());
        println!("| records | body, B | codec | ratio | compress, MB/s | decompress, MB/s |");
        println!("|--:|--:|---|--:|--:|--:|");
        for count in COUNTS.into_iter().filter(|count| *count <= samples.len()) {
            let bodies = bodies::of(&samples, count);
            // What zstd may look back to is another part of the file than what it compresses.
            let sample = bodies::of(&samples[samples.len() - 60..], 60).swap_remove(0);
            for mut codec in Codec::all(&sample) {
                measure(count, &bodies, &mut codec);
            }
        }
    }
}

fn measure(count: usize, bodies: &[Vec<u8>], codec: &mut Codec) {
    let packed: Vec<Vec<u8>> = bodies.iter().map(|body| codec.compress(body)).collect();
    for (body, packed) in bodies.iter().zip(&packed) {
        assert_eq!(codec.decompress(packed, body.len()), *body, "{} is exact", codec.name);
    }
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let packed_bytes: usize = packed.iter().map(Vec::len).sum();
    let compress = best(bytes, || {
        for body in bodies {
            std::hint::black_box(codec.compress(body));
        }
    });
    let decompress = best(bytes, || {
        for (body, packed) in bodies.iter().zip(&packed) {
            std::hint::black_box(codec.decompress(packed, body.len()));
        }
    });
    println!(
        "| {count} | {} | {} | {:.2} | {compress:.0} | {decompress:.0} |",
        bytes / bodies.len(),
        codec.name,
        bytes as f64 / packed_bytes as f64,
    );
}

/// MB/s of work that goes through so many bytes.
fn best(bytes: usize, mut work: impl FnMut()) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let (begun, mut times) = (processor_time(), 0);
        while processor_time() - begun < SECONDS_TIMED {
            work();
            times += 1;
        }
        let seconds = processor_time() - begun;
        best = best.max(f64::from(times) * bytes as f64 / 1e6 / seconds);
    }
    best
}

/// What this thread has used so far, in seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
