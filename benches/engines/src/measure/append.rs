//! Appending: how fast, and what the disk has to write for it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    arguments::Arguments,
    engine::{Engine, Kind, PAYLOAD_BYTES},
    machine::device_bytes,
    statistics::{median, rate, short},
};

/// Messages in a batch, and how many batches make a run.
const BATCHES: [(usize, usize); 4] = [(1, 1500), (10, 1500), (100, 1000), (1000, 300)];
/// A run ends early after this.
const RUN_LIMIT: Duration = Duration::from_millis(750);
/// But not before so many batches: what opening the engine wrote must not tell.
const BATCHES_MIN: usize = 250;
/// While the uplink is there, the queue is drained whenever so much has gathered.
const DRAINED_EVERY_BYTES: usize = 1024 * 1024;
/// Before that is measured, this happens so often, for the files to be as they are in service.
const WARM_UP_ROUNDS: usize = 24;
const WARM_UP_BATCH: usize = 1024;

/// What happens to the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is removed: the backlog grows, from nothing.
    Outage,
    /// They are removed soon, as they are while the uplink is there.
    Connected,
}

impl Phase {
    fn title(self) -> &'static str {
        match self {
            Self::Outage => "an outage: a new queue, nothing is removed",
            Self::Connected => "in service: everything is removed every MiB",
        }
    }

    /// What is measured in it. Blocks are new only until the queue has been drained once.
    fn kinds(self, arguments: &Arguments) -> Vec<Kind> {
        let mut kinds = arguments.kinds.clone();
        kinds.retain(|kind| self == Self::Outage || *kind != Kind::RawReserved);
        kinds
    }
}

/// One cell: a median of each.
#[derive(Debug, Clone, Copy)]
struct Cell {
    rate: f64,
    /// Bytes the device wrote for each byte of payload.
    written: f64,
}

/// Prints the tables.
pub fn run(arguments: &Arguments, dir: &Path) {
    for phase in [Phase::Outage, Phase::Connected] {
        let kinds = phase.kinds(arguments);
        let columns: Vec<Vec<Cell>> = BATCHES
            .into_iter()
            .map(|(size, batches)| column(arguments.runs, &kinds, dir, phase, size, batches))
            .collect();
        println!("\nMessages per second appended, {} (ratio to raw)\n", phase.title());
        table(&kinds, |row, number| {
            let [raw, cell] = [columns[number][0], columns[number][row]].map(|cell| cell.rate);
            format!("{} ({:.0} %)", rate(cell), cell / raw * 100.0)
        });
        println!("\nBytes the device wrote for each byte of payload, {}\n", phase.title());
        table(&kinds, |row, number| short(columns[number][row].written));
    }
}

fn table(kinds: &[Kind], cell: impl Fn(usize, usize) -> String) {
    println!("| engine | {} |", BATCHES.map(|(size, _)| format!("batch {size}")).join(" | "));
    println!("|---|{}", "--:|".repeat(BATCHES.len()));
    for (row, kind) in kinds.iter().enumerate() {
        let cells: Vec<_> = (0..BATCHES.len()).map(|number| cell(row, number)).collect();
        println!("| {} | {} |", kind.title(), cells.join(" | "));
    }
}

/// All engines at one size of batch. They take turns, since disks have moods.
fn column(
    runs: usize,
    kinds: &[Kind],
    dir: &Path,
    phase: Phase,
    size: usize,
    batches: usize,
) -> Vec<Cell> {
    let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); kinds.len()];
    for _ in 0..runs {
        for (cells, kind) in cells.iter_mut().zip(kinds) {
            cells.push(one_run(*kind, &dir.join(kind.name()), phase, size, batches));
        }
    }
    let middle = |cells: &[Cell], of: fn(&Cell) -> f64| median(cells.iter().map(of).collect());
    let cells = cells.iter().map(|cells| Cell {
        rate: middle(cells, |cell| cell.rate),
        written: middle(cells, |cell| cell.written),
    });
    cells.collect()
}

fn one_run(kind: Kind, dir: &Path, phase: Phase, size: usize, batches: usize) -> Cell {
    let batch = super::batch(size);
    let mut engine =
        kind.open(dir, size * batches + WARM_UP_ROUNDS * DRAINED_EVERY_BYTES / PAYLOAD_BYTES);
    if phase == Phase::Connected {
        warm_up(&mut *engine);
    }
    let before = device_bytes(dir);
    let (mut spent, mut appended, mut kept) = (Duration::ZERO, 0, 0);
    while appended < size * batches && (spent < RUN_LIMIT || appended < size * BATCHES_MIN) {
        let begun = Instant::now();
        engine.append(&batch);
        spent += begun.elapsed();
        appended += size;
        kept += size * PAYLOAD_BYTES;
        if phase == Phase::Connected && kept >= DRAINED_EVERY_BYTES {
            engine.drain();
            kept = 0;
        }
    }
    if phase == Phase::Connected {
        engine.drain();
    }
    let written = (device_bytes(dir) - before) / (appended * PAYLOAD_BYTES) as f64;
    engine.close();
    fs::remove_dir_all(dir).expect("the folder is removed");
    Cell { rate: appended as f64 / spent.as_secs_f64(), written }
}

fn warm_up(engine: &mut dyn Engine) {
    let batch = super::batch(WARM_UP_BATCH);
    for _ in 0..WARM_UP_ROUNDS {
        for _ in 0..DRAINED_EVERY_BYTES / PAYLOAD_BYTES / WARM_UP_BATCH {
            engine.append(&batch);
        }
        engine.drain();
    }
}
