//! `holdfast queue export`

use std::{
    io::{BufWriter, Write},
    path::PathBuf,
};

use clap::Args;
use holdfast_adapter_api::Clock as _;

use super::{
    Stopped,
    exchange::{HeaderStream, Writer},
    folder::FolderArgs,
    output::{Failure, Output},
};
use crate::{
    cli::{Exit, terminal::tell},
    clock::SystemClock,
    queue::Folder,
};

/// Options of `holdfast queue export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Export this stream only.
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Write to this file, which is there only when it is complete, instead of standard output (-).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Export what does not wait any more too, as far as it is still on disk.
    #[arg(long)]
    all: bool,
}

/// What an export came to.
struct Done {
    records: u64,
    damaged: u64,
}

pub(super) fn export(args: &ExportArgs) -> Result<Exit, Stopped> {
    let folder = args.folder.open()?;
    let streams = chosen(&folder, args.stream.as_deref())?;
    let output = Output::of(args.output.as_deref())?;
    let Some(done) = output.take(|out| write(&folder, &streams, args.all, out))? else {
        return Ok(Exit::Success);
    };
    tell(format_args!("exported {} record(s)", done.records));
    if done.damaged > 0 {
        tell(format_args!(
            "{} queued record(s) are damaged and not among them; `holdfast queue verify` names them",
            done.damaged
        ));
    }
    Ok(Exit::Success)
}

fn chosen(folder: &Folder, stream: Option<&str>) -> Result<Vec<HeaderStream>, Stopped> {
    let mut streams = folder.ledger()?.streams;
    if let Some(wanted) = stream {
        // Says which there are if it is not one of them.
        drop(folder.records(wanted, 0)?);
        streams.retain(|page| page.stream == wanted);
    }
    let streams = streams.into_iter().map(|page| HeaderStream {
        stream: page.stream,
        queued: page.total.queued,
        next_sequence: page.next_sequence,
    });
    Ok(streams.collect())
}

fn write(
    folder: &Folder,
    streams: &[HeaderStream],
    all: bool,
    out: &mut dyn Write,
) -> Result<Done, Failure> {
    let now = SystemClock::new();
    let exported = now.now().to_rfc3339();
    let mut writer = Writer::begin(BufWriter::new(out), exported, all, streams.to_vec())?;
    let mut damaged = 0;
    for HeaderStream { stream, .. } in streams {
        let mut records = folder.records(stream, 0).map_err(Failure::Queue)?;
        if all {
            records = records.with_settled();
        }
        for stored in records.by_ref() {
            writer.record(stream, &stored.map_err(Failure::Queue)?)?;
        }
        damaged += records.damaged();
    }
    let (records, _) = writer.end(damaged)?;
    Ok(Done { records, damaged })
}
