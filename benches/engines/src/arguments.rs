//! The command line.

use std::path::PathBuf;

use crate::engine::Kind;

const RUNS: usize = 5;

/// What this process is, where it is not the one that was started by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// Fills an engine and is killed.
    Fill,
    /// Opens what the other left behind.
    Drain,
}

/// The command line, understood.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// Where to measure.
    pub dir: PathBuf,
    /// How many runs to take the median of.
    pub runs: usize,
    /// What to measure; raw is always the first.
    pub kinds: Vec<Kind>,
    /// What this process is, if a child.
    pub child: Option<Child>,
}

impl Arguments {
    /// Reads the command line; anything it does not know ends the program.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments =
            Self { dir: PathBuf::from("."), runs: RUNS, kinds: Kind::ALL.to_vec(), child: None };
        while let Some(word) = words.next() {
            let mut value =
                || words.next().unwrap_or_else(|| usage(&format!("{word} lacks a value")));
            match word.as_str() {
                "--dir" => arguments.dir = PathBuf::from(value()),
                "--runs" => {
                    let runs = value().parse().ok().filter(|runs| *runs > 0);
                    arguments.runs = runs.unwrap_or_else(|| usage("--runs takes a number"));
                }
                "--only" => {
                    let name = value();
                    let only = Kind::ALL.into_iter().find(|kind| kind.name() == name);
                    let only = only.unwrap_or_else(|| usage(&format!("{name} is no engine")));
                    arguments.kinds.retain(|kind| kind.is_raw() || *kind == only);
                }
                "--child-fill" => arguments.child = Some(Child::Fill),
                "--child-drain" => arguments.child = Some(Child::Drain),
                _ => usage(&format!("{word} is unknown")),
            }
        }
        arguments
    }

    /// The one engine of a child.
    pub fn kind(&self) -> Kind {
        *self.kinds.last().expect("there is always raw")
    }
}

#[expect(clippy::print_stderr, reason = "how a command line program says what is wrong")]
fn usage(wrong: &str) -> ! {
    let names = Kind::ALL.map(Kind::name).join("|");
    eprintln!("{wrong}; usage: [--runs N] [--only {names}] [--dir PATH]");
    std::process::exit(2)
}
