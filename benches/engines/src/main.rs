//! The queue beside a raw file, sled, redb and SQLite, in the same run:
//! `cargo run --release --manifest-path benches/engines/Cargo.toml`.
//!
//! Options: `-- --runs N` (default 5, medians), `--only NAME` (one engine; raw runs all the same,
//! since everything is measured by it), `--dir PATH` (the folder, and so the disk).
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod arguments;
mod engine;
mod machine;
mod measure;
mod statistics;

use arguments::{Arguments, Child};

fn main() {
    let arguments = Arguments::parse(std::env::args().skip(1));
    match arguments.child {
        Some(Child::Fill) => measure::backlog::fill_and_die(&arguments),
        Some(Child::Drain) => measure::backlog::reopen_and_drain(&arguments),
        None => {}
    }
    let dir = tempfile::tempdir_in(&arguments.dir).expect("a folder to measure in can be made");
    println!("{}", machine::describe(dir.path(), arguments.runs));
    measure::append::run(&arguments, dir.path());
    measure::concurrent::run(&arguments, dir.path());
    measure::backlog::run(&arguments, dir.path());
}
