//! What the next opening does about an import that was broken off.

use std::{io, path::Path, sync::Arc};

use super::journal::{Journal, Pending};
use crate::{Recovery, disk::Disk, segment, state::Shared};

/// Writes down which records of a batch that was being appended have arrived. Called when all
/// streams are recovered and nothing has been appended since.
pub(crate) fn settle_pending(
    disk: &dyn Disk,
    dir: &Path,
    streams: &[Arc<Shared>],
    recovery: &mut Recovery,
) {
    let mut note = |error: io::Error| {
        recovery.notes.push(format!(
            "{}: {error}; an import that was broken off may take some records a second time",
            dir.join("imports").display()
        ));
    };
    let mut journal = match Journal::load(disk, dir) {
        Ok(journal) => journal,
        Err(error) => return note(error),
    };
    let Some(pending) = journal.pending.take() else { return };
    if let Some(shared) = streams.iter().find(|shared| shared.options.name == pending.stream) {
        if let Err(error) = sync(disk, shared, &pending) {
            return note(error);
        }
        let state = shared.state();
        for (sequence, origin) in pending.records() {
            // Nothing of it was delivered yet, so what is settled is damaged: it has not arrived.
            if sequence < state.next && !state.settled.contains(sequence) {
                journal.take(&pending.stream, origin);
            }
        }
    }
    if let Err(error) = journal.store(disk, dir) {
        note(error);
    }
}

/// After a kill without a power cut, what is read may not be on disk yet.
fn sync(disk: &dyn Disk, shared: &Shared, pending: &Pending) -> io::Result<()> {
    let segments: Vec<_> = shared.state().segments.iter().map(|segment| segment.name).collect();
    let before = segments.partition_point(|name| name.base <= pending.first);
    for name in &segments[before.saturating_sub(1)..] {
        segment::open(disk, &shared.dir, *name)?.sync()?;
    }
    Ok(())
}
