//! `holdfast queue repair`

use std::sync::Arc;

use clap::Args;

use super::{Stopped, folder, folder::FolderArgs, verify};
use crate::{
    cli::{Exit, ledger, terminal::print},
    clock::SystemClock,
    queue::{self, Environment, Folder, Repaired, Report},
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
        let (text, exit) = preview(&folder)?;
        print(&text).map_err(Stopped::output)?;
        return Ok(exit);
    }
    let environment =
        Environment { keys: place.keys, ..Environment::new(Arc::new(SystemClock::new())) };
    let done = queue::repair(&place.dir, place.streams.unwrap_or_default(), &environment)?;
    if !done.was_sound() {
        folder::mention_the_owner(&place.dir);
    }
    print(&text(&done)).map_err(Stopped::output)?;
    Ok(if done.remaining.is_clean() { Exit::Success } else { Exit::PromiseBroken })
}

/// What would be done, and the exit code that the repair would end with.
fn preview(folder: &Folder) -> Result<(String, Exit), Stopped> {
    let report = folder.verify()?;
    let removable = queue::removable(folder)?;
    if report.is_clean() && removable.is_empty() {
        let verdict = if report.remarks.is_empty() { "nothing is wrong; " } else { "" };
        let text = remarks(&report) + verdict + "there is nothing to repair\n";
        return Ok((text, Exit::Success));
    }
    let mut lines = vec![verify::text(&report)];
    if report.damaged() > 0 {
        lines.push(format!(
            "would count {} record(s) as damaged and copy what is left of them to the quarantine\n",
            report.damaged()
        ));
    }
    let dead = removable.iter();
    lines.extend(dead.map(|file| format!("would remove {file}, which holds nothing needed\n")));
    let exit = if report.irreparable {
        lines.push("would leave files that cannot be read as they are\n".to_owned());
        Exit::PromiseBroken
    } else {
        Exit::Success
    };
    lines.push("nothing was changed\n".to_owned());
    Ok((lines.concat(), exit))
}

/// A line for each thing that is damaged and needs no repair.
fn remarks(report: &Report) -> String {
    report.remarks.iter().flat_map(|remark| [remark.as_str(), "\n"]).collect()
}

fn text(done: &Repaired) -> String {
    if done.was_sound() {
        let that = if done.found.remarks.is_empty() { "" } else { " that needs repair" };
        let verdict = format!("nothing was wrong{that}\n");
        return remarks(&done.found) + &verdict + &ledger::table(&done.after);
    }
    let mut lines = vec![format!("found:\n{}\ndone:\n", verify::text(&done.found))];
    if done.found.damaged() > 0 {
        lines.push(format!("counted {} record(s) as damaged\n", done.found.damaged()));
    }
    lines.extend(done.made.iter().map(|file| format!("made {file}\n")));
    let removed = done.removed.iter();
    lines.extend(removed.map(|file| format!("removed {file}, which held nothing needed\n")));
    lines.push("wrote the cursors\n".to_owned());
    if !done.remaining.is_clean() {
        lines.push(format!("\nremains:\n{}", verify::text(&done.remaining)));
    }
    lines.push(format!("\nledger before:\n{}", ledger::table(&done.before)));
    lines.push(format!("\nledger after:\n{}", ledger::table(&done.after)));
    lines.concat()
}
