//! Opening: guarded against everything sled does when it meets damage, and always with a result.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::{
    engine::{self, Engine, Problem},
    export,
    files::{Files, remove_folder},
    mark::{self, Seen},
    recovery::{Recovery, RecoveryOutcome},
    rows::{self, Entries, Joined, Meta},
    store::Options,
};

/// A call of sled that takes longer is given up.
const GUARD_LIMIT: Duration = Duration::from_secs(20);
/// How long a lock is waited for that another holder is about to let go.
const LOCK_WAIT: Duration = Duration::from_secs(3);
const LOCK_POLL: Duration = Duration::from_millis(20);
/// After this many openings that never came back the store is taken for damaged.
const ATTEMPTS_MAX: u32 = 3;

/// Opens the store, or rebuilds it; without a store only where the disk allows neither.
pub(super) fn open(files: &Files, options: &Options) -> (Option<Engine>, Recovery) {
    match try_open(files, options) {
        Ok((engine, recovery)) => (Some(engine), recovery),
        Err(problem) => {
            let line = format!(
                "{}: {problem}; check free space and permissions there",
                files.store().display()
            );
            (None, Recovery::new(RecoveryOutcome::Unavailable).say(line))
        }
    }
}

fn try_open(files: &Files, options: &Options) -> Result<(Engine, Recovery), Problem> {
    files.create()?;
    remove_folder(&files.rebuilding())?;
    let marked = mark::read(&files.mark());
    let exported = export::peek(&files.export());
    let known = exported.map_or(marked, |exported| newest(marked, exported));
    if !files.store().exists() {
        if known != Seen::default() {
            return rebuild(files, options, known, "its folder is missing");
        }
        // Half a store would be taken for a damaged one.
        build_aside(files, options, Entries::new(), Seen::default())?;
        files.adopt_rebuilt()?;
    }
    let attempts = files.begin_attempt()?;
    if attempts >= ATTEMPTS_MAX {
        let reason = format!("{attempts} attempts at opening it never came back");
        return rebuild(files, options, known, &reason);
    }
    let opened = wait_for_lock(files).map(|()| guarded_open(files, options));
    files.end_attempt();
    let opened = opened?;
    let engine = match opened {
        Ok(engine) => engine,
        Err(problem) if problem.is_permission() => return Err(problem),
        Err(problem) => {
            files.probe()?;
            return rebuild(files, options, known, &problem.to_string());
        }
    };
    let exported = exported.unwrap_or_default();
    if engine.meta().sequence < exported.sequence {
        let reason = format!(
            "it is at commit {}, and its export at {}",
            engine.meta().sequence,
            exported.sequence
        );
        dispose(engine);
        return rebuild(files, options, known, &reason);
    }
    begin(engine, known)
}

/// Goes on with a store that is sound in itself.
fn begin(mut engine: Engine, known: Seen) -> Result<(Engine, Recovery), Problem> {
    let meta = engine.meta();
    if meta.sequence < known.sequence {
        let lost = known.sequence - meta.sequence;
        engine.begin_epoch(newest(known, Seen { sequence: meta.sequence, epoch: meta.epoch }))?;
        let recovery = Recovery::new(RecoveryOutcome::RolledBack)
            .say(format!("the last {lost} commits are missing"));
        return Ok((engine, Recovery { commits_lost: lost, ..recovery }));
    }
    if meta.epoch == 0 {
        engine.begin_epoch(known)?;
        return Ok((engine, Recovery::new(RecoveryOutcome::Fresh)));
    }
    Ok((engine, Recovery::new(RecoveryOutcome::Intact)))
}

/// Puts the store aside and makes a new one from the export.
fn rebuild(
    files: &Files,
    options: &Options,
    known: Seen,
    reason: &str,
) -> Result<(Engine, Recovery), Problem> {
    let mut recovery = Recovery::new(RecoveryOutcome::Rebuilt)
        .say(format!("{} was damaged: {reason}", files.store().display()));
    let export = export::read(&files.export())?.unwrap_or_default();
    recovery.commits_lost = known.sequence.saturating_sub(export.sequence);
    let (rows, incomplete) = whole_entries(&export.rows);
    recovery.rows_lost = export.rows_lost + incomplete;
    let line = format!(
        "rebuilt from the export at commit {} with {} rows; {} later commits and {} rows are lost",
        export.sequence,
        rows.len(),
        recovery.commits_lost,
        recovery.rows_lost
    );
    // Under its new epoch from the start: if this ends before the next commit, the store will be
    // found whole, and nothing else would tell that it is not what it was.
    let seen = Seen { sequence: export.sequence, epoch: known.epoch + 1 };
    build_aside(files, options, rows, seen)?;
    if let Some(quarantine) = files.quarantine(options.quarantined_max)? {
        recovery = recovery.say(format!("what was there is kept in {}", quarantine.display()));
    }
    files.adopt_rebuilt()?;
    files.end_attempt();
    wait_for_lock(files)?;
    let mut engine = guarded_open(files, options)?;
    engine.begin_epoch(known)?;
    engine.export(files)?;
    Ok((engine, recovery.say(line)))
}

/// Moves the content of a store whose file can no longer be believed to be on disk into a new
/// one. (After a failed sync the kernel may show data that will never be written.)
///
/// The store is exported by the engine that still has it open: sled opening the file once more
/// would write a snapshot upon what is not on disk. Without that engine there is no other way.
/// If the disk does not take the export, the engine stays in `stranded`.
pub(super) fn rewrite(
    files: &Files,
    options: &Options,
    stranded: &mut Option<Engine>,
) -> (Option<Engine>, Recovery) {
    let mut moved = || -> Result<(Engine, Recovery), Problem> {
        let meta = if let Some(engine) = stranded.take() {
            export_stranded(engine, files, stranded)?
        } else {
            wait_for_lock(files)?;
            let mut engine = guarded_open(files, options)?;
            let meta = engine.export_what_is_shown(files)?;
            dispose(engine);
            meta
        };
        let known = Seen { sequence: meta.sequence, epoch: meta.epoch };
        rebuild(files, options, known, "a sync failed")
    };
    match moved() {
        Ok((engine, recovery)) => (Some(engine), recovery),
        Err(problem) => {
            let line = format!("cannot be rewritten after a failed sync: {problem}");
            (None, Recovery::new(RecoveryOutcome::Unavailable).say(line))
        }
    }
}

fn export_stranded(
    mut engine: Engine,
    files: &Files,
    stranded: &mut Option<Engine>,
) -> Result<Meta, Problem> {
    let exported = catch_unwind(AssertUnwindSafe(|| engine.export_what_is_shown(files)));
    match exported {
        Ok(Err(Problem::Io(error))) => {
            *stranded = Some(engine);
            Err(error.into())
        }
        // Either it is done, or sled itself has failed, and only opening it again is left.
        outcome => {
            dispose(engine);
            outcome.unwrap_or_else(|panic| Err(Problem::Panicked(panic_text(&*panic))))
        }
    }
}

fn build_aside(files: &Files, options: &Options, rows: Entries, seen: Seen) -> Result<(), Problem> {
    let (folder, cache, sync) = (files.rebuilding(), options.cache_bytes, options.sync);
    guarded(GUARD_LIMIT, move || engine::build(&folder, cache, sync, &rows, seen))?
}

fn guarded_open(files: &Files, options: &Options) -> Result<Engine, Problem> {
    let (files, cache, sync) = (files.clone(), options.cache_bytes, options.sync);
    guarded(GUARD_LIMIT, move || Engine::open(&files, cache, sync))?
}

/// Lets go of a store; sled joins its threads then, and one of them may be stuck.
pub(super) fn dispose(engine: Engine) {
    // There is nobody left who could be told of a failure.
    let _ = guarded(GUARD_LIMIT, move || drop(engine));
}

/// Runs a call on a thread of its own, and comes back whatever it does. A call that does not
/// return keeps its thread.
fn guarded<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let (reply, outcome) = mpsc::channel();
    thread::Builder::new().name("holdfast-state-guard".into()).spawn(move || {
        // The receiver is gone only if this took longer than anyone waits for.
        let _ = reply.send(catch_unwind(AssertUnwindSafe(call)));
    })?;
    match outcome.recv_timeout(limit) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => Err(Problem::Panicked(panic_text(&*panic))),
        Err(_) => Err(Problem::Stuck(limit.as_secs())),
    }
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned()
}

/// sled reports a lock that is taken like any other failure; this tells it apart from damage.
fn wait_for_lock(files: &Files) -> Result<(), Problem> {
    let Ok(file) = File::open(engine::db_path(&files.store())) else { return Ok(()) };
    let give_up = Instant::now() + LOCK_WAIT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                return Ok(flock(&file, FlockOperation::Unlock).map_err(std::io::Error::from)?);
            }
            Err(error) if Instant::now() >= give_up => {
                let error = std::io::Error::from(error);
                let text = format!("another process has the state store open ({error})");
                return Err(std::io::Error::new(error.kind(), text).into());
            }
            Err(_) => thread::sleep(LOCK_POLL),
        }
    }
}

fn newest(a: Seen, b: Seen) -> Seen {
    Seen { sequence: a.sequence.max(b.sequence), epoch: a.epoch.max(b.epoch) }
}

/// The rows of entries of which every piece is there, and how many rows are left out.
fn whole_entries(rows: &Entries) -> (Entries, u64) {
    let before = rows.len();
    let mut whole = Vec::with_capacity(before);
    for entry in rows.chunk_by(|(a, _), (b, _)| same_entry(a, b)) {
        let mut joined = Joined::default();
        let complete = entry.iter().all(|(key, value)| {
            rows::owner(key).is_some_and(|(_, _, number)| joined.push(number, value))
        });
        if complete && joined.finish().is_some() {
            whole.extend_from_slice(entry);
        }
    }
    let left_out = (before - whole.len()) as u64;
    (whole, left_out)
}

fn same_entry(a: &[u8], b: &[u8]) -> bool {
    match (rows::owner(a), rows::owner(b)) {
        (Some((table_a, key_a, _)), Some((table_b, key_b, _))) => {
            (table_a, key_a) == (table_b, key_b)
        }
        _ => false,
    }
}
