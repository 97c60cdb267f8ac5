//! `holdfast queue verify`

use clap::Args;

use super::{Stopped, folder::FolderArgs};
use crate::{
    cli::{Exit, terminal::print},
    queue::Report,
};

/// Options of `holdfast queue verify`.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, Stopped> {
    let report = args.folder.open()?.verify()?;
    let text = if args.json {
        let json = serde_json::to_string(&report).expect("a report holds only names and numbers");
        json + "\n"
    } else {
        text(&report)
    };
    print(&text).map_err(Stopped::output)?;
    Ok(if report.is_clean() { Exit::Success } else { Exit::PromiseBroken })
}

/// The report, a line for each thing that is wrong or remarkable, and a verdict.
pub(super) fn text(report: &Report) -> String {
    let mut lines: Vec<_> = report.notes.iter().chain(&report.remarks).cloned().collect();
    lines.extend(report.damage.iter().map(ToString::to_string));
    lines.extend(report.torn.iter().map(ToString::to_string));
    let verdict = match (report.is_clean(), report.remarks.is_empty()) {
        (true, true) => "; nothing is wrong",
        (true, false) => "; nothing needs repair",
        (false, _) => "",
    };
    let (intact, damaged) = (report.intact, report.damaged());
    lines.push(format!("{intact} queued record(s) are intact, {damaged} are damaged{verdict}\n"));
    lines.join("\n")
}
