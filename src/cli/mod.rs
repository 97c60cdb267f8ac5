//! The command line: one file per subcommand, and the exit codes they share.

mod check;
mod demo;
mod exit;
mod ledger;
mod logging;
mod passwd;
mod queue;
mod run;
mod table;
mod terminal;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use exit::Exit;

use crate::config::{self, Loaded, Problems};

/// An edge gateway that never loses what it acknowledged.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Run(ConfigArgs),
    /// Say everything that is wrong with a configuration, without starting.
    Check(ConfigArgs),
    /// Show what became of every message: accepted = delivered + queued + expired + evicted + damaged.
    Ledger(ledger::LedgerArgs),
    /// Look into a queue's folder, move its backlog, put it right.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Make the hash of a password for [[user]].
    Passwd,
    /// Show the promises being kept, in about 40 seconds, with everything simulated.
    Demo(demo::DemoArgs),
}

/// Which configuration.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file; conf.d/*.toml beside it apply too.
    #[arg(short, long, default_value = "/etc/holdfast/holdfast.toml")]
    config: PathBuf,
    /// Override one key, e.g. --set uplink.url=mqtts://other.example
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    sets: Vec<(String, String)>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Loaded, Problems> {
        config::load(&self.config, &self.sets)
    }
}

impl Cli {
    /// Carries out the command.
    pub fn run(self) -> Exit {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Check(args) => check::check(&args),
            Command::Ledger(args) => ledger::ledger(&args),
            Command::Queue(command) => command.run(),
            Command::Passwd => passwd::passwd(),
            Command::Demo(args) => demo::demo(&args),
        }
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}
