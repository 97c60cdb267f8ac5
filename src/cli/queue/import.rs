//! `holdfast queue import`

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;

use super::{
    Stopped,
    exchange::{Entry, Export},
    folder::{self, FolderArgs, Place, expect_room_for_a_queue},
};
use crate::{
    cli::{
        Exit,
        terminal::{print, tell},
    },
    clock::SystemClock,
    queue::{
        Disk, Environment, Folder, Import, Imported, Keys, Lock, NewRecord, Origin, RealDisk,
        StreamOptions,
    },
};

/// Options of `holdfast queue import`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The export to take over.
    #[arg(required_unless_present = "from_dir", conflicts_with = "from_dir")]
    file: Option<PathBuf>,
    /// Take over what waits in this queue's folder instead, without the way through an export.
    #[arg(long, value_name = "DIR")]
    from_dir: Option<PathBuf>,
    /// The keys of that queue, if it is encrypted; left out, this queue's own.
    #[arg(long, value_name = "FILE", requires = "from_dir")]
    from_key_file: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
    /// Take over this stream only.
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
}

/// Where the records come from.
enum Backlog {
    Export(PathBuf),
    /// With the lock on it, if it could be had.
    Folder(
        Folder,
        #[expect(dead_code, reason = "the lock is held as long as the backlog is read")]
        Option<Box<dyn Lock>>,
    ),
}

/// What an import would take.
#[derive(Default)]
struct Plan {
    records: u64,
    bytes: BTreeMap<String, u64>,
    too_old: BTreeMap<String, u64>,
    settled: u64,
}

pub(super) fn import(args: &ImportArgs) -> Result<Exit, Stopped> {
    let place = args.folder.place()?;
    expect_room_for_a_queue(&place)?;
    refuse_itself(args, &place.dir)?;
    let backlog = Backlog::open(args, &place.keys)?;
    let waiting = backlog.check()?;
    let streams = wanted(&waiting, args.stream.as_deref())?;
    let keys = place.keys.clone();
    let environment = Environment { keys, ..Environment::new(Arc::new(SystemClock::new())) };
    let options = options(&place, &streams);
    let (mut import, recovery) = Import::open(&place.dir, options, &environment)?;
    recovery.lines().for_each(tell);
    let plan = plan(&backlog, &streams, &import)?;
    backlog.each(&streams, |item| {
        if !item.settled {
            import.push(&item.stream, item.origin, item.record)?;
        }
        Ok(())
    })?;
    let text = report(&plan, &import.finish()?, &waiting);
    folder::mention_the_owner(&place.dir);
    print(&text).map_err(Stopped::output)?;
    Ok(Exit::Success)
}

fn refuse_itself(args: &ImportArgs, dir: &Path) -> Result<(), Stopped> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    match args.from_dir.as_deref().and_then(real) {
        from @ Some(_) if from == real(dir) => {
            Err(Stopped::usage(format!("{} is the queue's own folder", dir.display())))
        }
        _ => Ok(()),
    }
}

/// How the streams are kept here, so that the import keeps to the gateway's own limits.
fn options(place: &Place, streams: &BTreeSet<String>) -> Vec<StreamOptions> {
    let Some(configured) = &place.streams else {
        tell("without a configuration, default limits hold, and only the keys of --key-file");
        return streams.iter().map(|name| StreamOptions::with_defaults(name)).collect();
    };
    let mut options = configured.clone();
    for name in streams {
        if !configured.iter().any(|stream| stream.name == *name) {
            tell(format_args!(
                "stream {name} is not configured here; it drains with default limits"
            ));
            options.push(StreamOptions::with_defaults(name));
        }
    }
    options
}

/// Everything is looked at before anything is taken.
fn plan(backlog: &Backlog, streams: &BTreeSet<String>, import: &Import) -> Result<Plan, Stopped> {
    let mut plan = Plan::default();
    backlog.each(streams, |item| {
        let (stream, origin) = (&item.stream, item.origin);
        if item.settled {
            plan.settled += 1;
            return Ok(());
        }
        if import.is_own(stream, origin) {
            return Err(Stopped::failed(format!(
                "{}: record {} of stream {stream} lies in this very queue; nothing was taken over",
                item.place, origin.sequence
            )));
        }
        if import.knows(stream, origin) {
            return Ok(());
        }
        let bytes = import
            .bytes_of(stream, origin.sequence, &item.record)
            .map_err(|error| Stopped::failed(format!("{}: {error}", item.place)))?;
        plan.records += 1;
        *plan.bytes.entry(stream.clone()).or_default() += bytes;
        if import.is_expired(stream, &item.record.stamp) {
            *plan.too_old.entry(stream.clone()).or_default() += 1;
        }
        Ok(())
    })?;
    for (stream, needed) in &plan.bytes {
        let room = import.room(stream)?;
        if *needed > room {
            return Err(Stopped::failed(format!(
                "stream {stream} has room for {room} bytes, and the records take {needed} at \
                 least; give it a larger bytes_max. Nothing was taken over"
            )));
        }
    }
    Ok(plan)
}

/// `telemetry 17, events 2`
fn by_stream(counts: &BTreeMap<String, u64>) -> String {
    let parts = counts.iter().map(|(stream, count)| format!("{stream} {count}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn report(plan: &Plan, imported: &Imported, waiting: &BTreeMap<String, u64>) -> String {
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    let known = sum(&imported.known);
    let mut lines = vec![match sum(&imported.taken) {
        0 if known > 0 => "everything was taken over before; nothing was taken now".to_owned(),
        0 if sum(waiting) > 0 => {
            format!("there was nothing to take over; what waits there: {}", by_stream(waiting))
        }
        0 => "there was nothing to take over".to_owned(),
        count => format!("took over {count} record(s): {}", by_stream(&imported.taken)),
    }];
    if known > 0 {
        lines.push(format!(
            "{known} record(s) had been taken over before and were not taken again: {}",
            by_stream(&imported.known)
        ));
    }
    if plan.settled > 0 {
        lines.push(format!(
            "{} record(s) had been delivered or given up and were passed over",
            plan.settled
        ));
    }
    lines.extend(plan.too_old.iter().map(|(stream, count)| {
        format!("{count} record(s) are older than stream {stream} allows and will expire unsent")
    }));
    lines.join("\n") + "\n"
}

/// The streams that are to be taken over, of those that are there.
fn wanted(
    there: &BTreeMap<String, u64>,
    wanted: Option<&str>,
) -> Result<BTreeSet<String>, Stopped> {
    match wanted {
        None => Ok(there.keys().cloned().collect()),
        Some(one) if there.contains_key(one) => Ok(BTreeSet::from([one.to_owned()])),
        Some(one) => {
            let there = there.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(Stopped::usage(format!("there is no stream `{one}`; there is {there}")))
        }
    }
}

/// A record of a backlog, and where it stands.
struct Item {
    place: String,
    stream: String,
    origin: Origin,
    settled: bool,
    record: NewRecord,
}

impl Backlog {
    fn open(args: &ImportArgs, own: &Keys) -> Result<Self, Stopped> {
        match (&args.file, &args.from_dir) {
            (_, Some(dir)) => {
                let keys = args.from_key_file.as_deref().map(folder::read_keys).transpose()?;
                let folder = folder::open(dir, keys.unwrap_or_else(|| own.clone()))?;
                Ok(Self::Folder(folder, keep_out_its_gateway(dir)?))
            }
            (Some(file), None) => Ok(Self::Export(file.clone())),
            (None, None) => Err(Stopped::usage("name an export or --from-dir")),
        }
    }

    /// Reads all of it: which streams there are, and how many records wait in each.
    fn check(&self) -> Result<BTreeMap<String, u64>, Stopped> {
        match self {
            Self::Export(path) => {
                let export = Export::open(path)?;
                let names = export.streams().iter().map(|stream| (stream.stream.clone(), 0));
                let mut waiting: BTreeMap<_, _> = names.collect();
                for entry in export {
                    let Entry { stream, settled, .. } = entry?;
                    *waiting.entry(stream).or_default() += u64::from(!settled);
                }
                Ok(waiting)
            }
            Self::Folder(folder, _) => {
                let report = folder.verify()?;
                if report.damaged() > 0 {
                    tell(format_args!("{} damaged record(s) stay behind", report.damaged()));
                }
                let pages = folder.ledger()?.streams.into_iter();
                Ok(pages.map(|page| (page.stream, page.total.queued)).collect())
            }
        }
    }

    fn each(
        &self,
        streams: &BTreeSet<String>,
        mut take: impl FnMut(Item) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        match self {
            Self::Export(path) => {
                for entry in Export::open(path)? {
                    let Entry { line, stream, origin, settled, record } = entry?;
                    if streams.contains(&stream) {
                        let place = format!("{} line {line}", path.display());
                        take(Item { place, stream, origin, settled, record })?;
                    }
                }
            }
            Self::Folder(folder, _) => {
                for stream in streams {
                    for stored in folder.records(stream, 0)? {
                        let stored = stored?;
                        let record = stored.record;
                        take(Item {
                            place: folder.dir().display().to_string(),
                            stream: stream.clone(),
                            origin: Origin { segment: stored.segment, sequence: record.sequence },
                            settled: stored.settled,
                            record: NewRecord {
                                source: record.source,
                                topic: record.topic,
                                payload: record.payload,
                                stamp: record.stamp,
                            },
                        })?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// As long as its records are being taken over, no gateway may deliver them too. A folder that
/// cannot be written, such as a card that is mounted read-only, has no gateway.
fn keep_out_its_gateway(dir: &Path) -> Result<Option<Box<dyn Lock>>, Stopped> {
    let path = dir.join("lock");
    if !path.exists() {
        return Ok(None);
    }
    match RealDisk.lock(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(Stopped {
            exit: Exit::InUse,
            why: format!("{} is in use by a gateway; stop that one first", dir.display()),
        }),
        Err(_) => Ok(None),
    }
}
