//! What the gateway does: many clients append at once and share the sync. Ours only, since the
//! peers' writers wait for one another.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{fs, path::Path};

use crate::{
    arguments::Arguments,
    engine::{Engine, Holdfast, Kind},
    statistics::{median, rate},
};

const CLIENTS: usize = 20;
const IN_FLIGHT: usize = 50;
const BATCHES: usize = 200;

/// Prints one line.
pub fn run(arguments: &Arguments, dir: &Path) {
    if !arguments.kinds.contains(&Kind::Holdfast) {
        return;
    }
    let dir = dir.join("concurrent");
    let batch = super::batch(IN_FLIGHT);
    let rates = (0..arguments.runs).map(|_| {
        let mut engine = Box::new(Holdfast::open(&dir));
        let rate = engine.append_from_many(CLIENTS, BATCHES, &batch);
        engine.close();
        fs::remove_dir_all(&dir).expect("the folder is removed");
        rate
    });
    let rates = median(rates.collect());
    println!("\n{CLIENTS} clients with {IN_FLIGHT} in flight each: {} messages/s", rate(rates));
}
