//! `holdfast queue ls`

use clap::Args;
use serde::Serialize;

use super::{
    Stopped,
    folder::FolderArgs,
    moment::{Moment, shown},
};
use crate::{
    cli::{Exit, table::table, terminal::print},
    queue::StreamOverview,
};

/// Options of `holdfast queue ls`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LsArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// A stream, for programs.
#[derive(Debug, Serialize)]
struct Line<'a> {
    stream: &'a str,
    queued: u64,
    queued_bytes: u64,
    disk_bytes: u64,
    oldest: Option<Moment>,
    newest: Option<Moment>,
    damaged: u64,
    floor: u64,
    next_sequence: u64,
    segments: usize,
    spares: usize,
    quarantined: usize,
    quarantined_bytes: u64,
    notes: &'a [String],
}

impl<'a> From<&'a StreamOverview> for Line<'a> {
    fn from(overview: &'a StreamOverview) -> Self {
        Self {
            stream: &overview.stream,
            queued: overview.queued,
            queued_bytes: overview.queued_bytes,
            disk_bytes: overview.disk_bytes,
            oldest: overview.oldest.map(Moment::from),
            newest: overview.newest.map(Moment::from),
            damaged: overview.damaged,
            floor: overview.floor,
            next_sequence: overview.next_sequence,
            segments: overview.segments,
            spares: overview.spares,
            quarantined: overview.quarantined,
            quarantined_bytes: overview.quarantined_bytes,
            notes: &overview.notes,
        }
    }
}

pub(super) fn ls(args: &LsArgs) -> Result<Exit, Stopped> {
    let streams = args.folder.open()?.overview()?;
    let text = if args.json { json(&streams) } else { text(&streams) };
    print(&text).map_err(Stopped::output)?;
    Ok(Exit::Success)
}

fn json(streams: &[StreamOverview]) -> String {
    let lines: Vec<_> = streams.iter().map(Line::from).collect();
    let json = serde_json::json!({ "streams": lines });
    format!("{json}\n")
}

fn text(streams: &[StreamOverview]) -> String {
    let head = ["stream", "oldest", "newest", "queued", "bytes", "on disk", "damaged", "files"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for stream in streams {
        rows.push(vec![
            stream.stream.clone(),
            shown(stream.oldest),
            shown(stream.newest),
            stream.queued.to_string(),
            stream.queued_bytes.to_string(),
            stream.disk_bytes.to_string(),
            stream.damaged.to_string(),
            stream.segments.to_string(),
        ]);
    }
    let mut text = table(&rows, 3);
    for note in streams.iter().flat_map(|stream| &stream.notes) {
        text += note;
        text.push('\n');
    }
    text
}
