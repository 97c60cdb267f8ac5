//! `holdfast queue repair`

use std::sync::Arc;

use clap::Args;

use super::{Stopped, folder, folder::FolderArgs, verify};
use crate::{
    cli::{Exit, ledger, terminal::print},
    clock::SystemClock,
    queue::{self, Environment, Folder, Repaired},
};

/// Options of `holdfast queue repair`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RepairArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn repair(args: &RepairArgs) -> Result<Exit, Stopped> {
    let place = args.folder.place()?;
    let folder = folder::open(&place.dir, place.keys.clone())?;
    if args.dry_run {
        let text = preview(&folder)?;
        print(&text).map_err(Stopped::output)?;
        return Ok(Exit::Success);
    }
    let environment =
        Environment { keys: place.keys, ..Environment::new(Arc::new(SystemClock::new())) };
    let done = queue::repair(&place.dir, place.streams.unwrap_or_default(), &environment)?;
    print(&text(&done)).map_err(Stopped::output)?;
    Ok(if done.remaining.is_clean() { Exit::Success } else { Exit::PromiseBroken })
}

fn preview(folder: &Folder) -> Result<String, Stopped> {
    let report = folder.verify()?;
    let removable = queue::removable(folder)?;
    if report.is_clean() && removable.is_empty() {
        return Ok("nothing is wrong; there is nothing to repair\n".to_owned());
    }
    let mut text = verify::text(&report);
    if report.damaged() > 0 {
        text += &format!(
            "would count {} record(s) as damaged and copy what is left of them to the quarantine\n",
            report.damaged()
        );
    }
    for file in removable {
        text += &format!("would remove {file}, which holds nothing needed\n");
    }
    Ok(text + "nothing was changed\n")
}

fn text(done: &Repaired) -> String {
    if done.was_sound() {
        return "nothing was wrong\n".to_owned() + &ledger::table(&done.after);
    }
    let mut text = format!("found:\n{}\ndone:\n", verify::text(&done.found));
    if done.found.damaged() > 0 {
        text += &format!("counted {} record(s) as damaged\n", done.found.damaged());
    }
    for file in &done.made {
        text += &format!("made {file}\n");
    }
    for file in &done.removed {
        text += &format!("removed {file}, which held nothing needed\n");
    }
    text += "wrote the cursors\n";
    if !done.remaining.is_clean() {
        text += &format!("\nremains:\n{}", verify::text(&done.remaining));
    }
    text += &format!("\nledger before:\n{}", ledger::table(&done.before));
    text + &format!("\nledger after:\n{}", ledger::table(&done.after))
}
