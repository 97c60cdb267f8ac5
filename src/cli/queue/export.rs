//! `holdfast queue export`

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use holdfast_adapter_api::Clock as _;

use super::{
    Stopped,
    exchange::{HeaderStream, Writer},
    folder::FolderArgs,
};
use crate::{
    cli::Exit,
    clock::SystemClock,
    queue::{Folder, InspectError},
};

/// Options of `holdfast queue export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Export this stream only.
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Write to this file, which is there only when it is complete, instead of standard output.
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

/// Why an export ended early.
enum Failure {
    Queue(InspectError),
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

pub(super) fn export(args: &ExportArgs) -> Result<Exit, Stopped> {
    let folder = args.folder.open()?;
    let streams = chosen(&folder, args.stream.as_deref())?;
    let done = match &args.output {
        Some(path) => to_file(&folder, &streams, args.all, path)?,
        None => match write(&folder, streams, args.all, io::stdout().lock()) {
            Ok((done, _)) => done,
            // Whoever reads has seen enough.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(Exit::Success);
            }
            Err(failure) => return Err(failure.stopped(Path::new("standard output"))),
        },
    };
    eprintln!("exported {} record(s)", done.records);
    if done.damaged > 0 {
        eprintln!(
            "{} queued record(s) are damaged and not among them; `holdfast queue verify` names them",
            done.damaged
        );
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

fn write<W: Write>(
    folder: &Folder,
    streams: Vec<HeaderStream>,
    all: bool,
    out: W,
) -> Result<(Done, W), Failure> {
    let names: Vec<_> = streams.iter().map(|stream| stream.stream.clone()).collect();
    let now = SystemClock::new();
    let exported = now.now().to_rfc3339();
    let mut writer = Writer::begin(BufWriter::new(out), exported, all, streams)?;
    let mut damaged = 0;
    for name in names {
        let mut records = folder.records(&name, 0).map_err(Failure::Queue)?;
        if all {
            records = records.with_settled();
        }
        for stored in records.by_ref() {
            writer.record(&name, &stored.map_err(Failure::Queue)?)?;
        }
        damaged += records.damaged();
    }
    let (records, out) = writer.end(damaged)?;
    let out = out.into_inner().map_err(|error| Failure::Output(error.into_error()))?;
    Ok((Done { records, damaged }, out))
}

impl Failure {
    fn stopped(self, output: &Path) -> Stopped {
        match self {
            Self::Queue(error) => error.into(),
            Self::Output(error) => Stopped::at(output)(error),
        }
    }
}

/// Writes beside the file, syncs, and renames, so that the file is never there in part.
fn to_file(
    folder: &Folder,
    streams: &[HeaderStream],
    all: bool,
    path: &Path,
) -> Result<Done, Stopped> {
    let name = path.file_name().ok_or_else(|| {
        Stopped::usage(format!("{} does not end in a file's name", path.display()))
    })?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = write_and_rename(folder, streams, all, path, &beside);
    if written.is_err() {
        // It may not be there; the error that is reported says more.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_and_rename(
    folder: &Folder,
    streams: &[HeaderStream],
    all: bool,
    path: &Path,
    beside: &Path,
) -> Result<Done, Stopped> {
    let failed = Stopped::at(path);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(beside)
        .map_err(Stopped::at(beside))?;
    let (done, file) =
        write(folder, streams.to_vec(), all, file).map_err(|failure| failure.stopped(path))?;
    file.sync_all().map_err(&failed)?;
    fs::rename(beside, path).map_err(&failed)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(&failed)?;
    Ok(done)
}
