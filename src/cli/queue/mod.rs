//! `holdfast queue`: the tools for a queue's folder, one file per verb.
//!
//! `ls`, `show`, `verify` and `export` change nothing and need no lock; they work on the folder of
//! a dead gateway, on a copy, and on that of a running one. `import` and `repair` take the lock.

mod exchange;
mod export;
mod folder;
mod import;
mod ls;
mod moment;
mod output;
mod repair;
mod show;
mod stopped;
mod verify;

use clap::Subcommand;

use super::Exit;
pub(super) use folder::FolderArgs;
pub(super) use stopped::Stopped;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// Show the streams: what waits, since when, what was damaged.
    Ls(ls::LsArgs),
    /// Show the records of a stream that wait, or its files.
    Show(show::ShowArgs),
    /// Read everything and name all damage; exit code 3 if there is any.
    Verify(verify::VerifyArgs),
    /// Write what waits as JSON lines, for `import`.
    Export(export::ExportArgs),
    /// Take over the backlog of another queue; the gateway must be stopped.
    Import(import::ImportArgs),
    /// Put a folder right, and say what was done; the gateway must be stopped.
    Repair(repair::RepairArgs),
}

impl QueueCommand {
    pub(super) fn run(&self) -> Exit {
        let (verb, done) = match self {
            Self::Ls(args) => ("ls", ls::ls(args)),
            Self::Show(args) => ("show", show::show(args)),
            Self::Verify(args) => ("verify", verify::verify(args)),
            Self::Export(args) => ("export", export::export(args)),
            Self::Import(args) => ("import", import::import(args)),
            Self::Repair(args) => ("repair", repair::repair(args)),
        };
        done.unwrap_or_else(|stopped| stopped.told(&format!("queue {verb}")))
    }
}
