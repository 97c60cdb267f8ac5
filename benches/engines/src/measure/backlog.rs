//! A million messages queued: memory, the way back after a kill -9, draining, disk space.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    arguments::Arguments,
    engine::Kind,
    machine::{folder_bytes, resident},
    statistics::{median, rate, short},
};

const BACKLOG: usize = 1_000_000;
const BATCH: usize = 1000;

/// One engine, one run.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    memory: f64,
    full: f64,
    reopen_millis: f64,
    drained_per_second: f64,
    drained: f64,
}

/// Prints the table.
pub fn run(arguments: &Arguments, dir: &Path) {
    println!("\nWith {BACKLOG} messages queued; caches of the peers 16 MiB\n");
    println!(
        "| engine | RSS, MB | kill -9 to first message, ms | read + ack, messages/s | \
         MB on disk, full → drained |\n|---|--:|--:|--:|--:|"
    );
    for kind in arguments.kinds.iter().filter(|kind| !kind.is_raw()) {
        let outcomes: Vec<_> =
            (0..arguments.runs).map(|_| one_run(*kind, &dir.join(kind.name()))).collect();
        let middle = |of: fn(&Outcome) -> f64| median(outcomes.iter().map(of).collect());
        println!(
            "| {} | {} | {} | {} | {:.0} → {:.0} |",
            kind.title(),
            short(middle(|outcome| outcome.memory)),
            short(middle(|outcome| outcome.reopen_millis)),
            rate(middle(|outcome| outcome.drained_per_second)),
            middle(|outcome| outcome.full) / 1e6,
            middle(|outcome| outcome.drained) / 1e6,
        );
    }
}

fn one_run(kind: Kind, dir: &Path) -> Outcome {
    let mut filling = child(kind, dir, "--child-fill").stdin(Stdio::piped()).spawn();
    let filling = filling.as_mut().expect("the child starts");
    let mut said = String::new();
    let output = filling.stdout.take().expect("the child's output");
    BufReader::new(output).read_line(&mut said).expect("the child says its memory");
    filling.kill().expect("the child is killed");
    filling.wait().expect("the child ends");
    let memory = said.trim().parse().expect("megabytes");
    let full = folder_bytes(dir);
    let drained = child(kind, dir, "--child-drain").output().expect("the child runs");
    let said = String::from_utf8_lossy(&drained.stdout);
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [reopen_millis, drained_per_second] = numbers[..] else {
        panic!("{} failed: {}", kind.name(), String::from_utf8_lossy(&drained.stderr));
    };
    let drained = folder_bytes(dir);
    fs::remove_dir_all(dir).expect("the folder is removed");
    Outcome { memory, full, reopen_millis, drained_per_second, drained }
}

fn child(kind: Kind, dir: &Path, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--only", kind.name(), role, "--dir"]).arg(dir);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The child that queues the backlog, says what it takes of memory, and waits to be killed.
pub fn fill_and_die(arguments: &Arguments) -> ! {
    let batch = super::batch(BATCH);
    let before = resident();
    let mut engine = arguments.kind().open(&arguments.dir, BACKLOG);
    for _ in 0..BACKLOG / BATCH {
        engine.append(&batch);
    }
    println!("{}", resident() - before);
    // Whoever started it holds the other end open until it kills it.
    let ended = std::io::stdin().read_to_end(&mut Vec::new());
    panic!("whoever started this is gone: {ended:?}")
}

/// The child that finds the backlog and drains it.
pub fn reopen_and_drain(arguments: &Arguments) -> ! {
    let begun = Instant::now();
    let mut engine = arguments.kind().open(&arguments.dir, 0);
    assert!(engine.has_first(), "the backlog is there");
    let reopened = begun.elapsed();
    let begun = Instant::now();
    assert_eq!(engine.drain(), BACKLOG, "all of it");
    let drained = begun.elapsed();
    engine.settle();
    engine.close();
    println!("{} {}", reopened.as_secs_f64() * 1e3, BACKLOG as f64 / drained.as_secs_f64());
    std::process::exit(0)
}
