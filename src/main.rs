//! The `holdfast` command.

use std::process::ExitCode;

use clap::Parser;
use holdfast::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run().into()
}
