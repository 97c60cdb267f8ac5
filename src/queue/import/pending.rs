//! What the next opening does about an import that was broken off.

use std::{io, path::Path, sync::Arc};

use super::{
    Origin,
    journal::{Journal, Pending},
};
use crate::{
    Recovery,
    disk::{Access, Disk},
    frame::content_checksum,
    segment::SegmentName,
    state::Shared,
    survey::{Decoded, Survey},
};

/// Writes down which records of a batch that was being appended have arrived. Called when all
/// streams are recovered and nothing has been appended since.
///
/// Where this fails, on a disk that is full for example, the batch stays pending, and the gateway
/// goes on: its own records may then get the sequences of those that have not arrived. The next
/// opening tells them apart by their content.
pub(crate) fn settle_pending(
    disk: &dyn Disk,
    dir: &Path,
    streams: &[Arc<Shared>],
    recovery: &mut Recovery,
) {
    if let Err(error) = settle(disk, dir, streams) {
        recovery.notes.push(format!(
            "{}: {error}; an import was broken off, and what of it has arrived is looked up at \
             the next start; one that is begun before may take some records a second time",
            dir.join("imports").display()
        ));
    }
}

fn settle(disk: &dyn Disk, dir: &Path, streams: &[Arc<Shared>]) -> io::Result<()> {
    let mut journal = Journal::load(disk, dir)?;
    let Some(pending) = journal.pending.take() else { return Ok(()) };
    if let Some(shared) = streams.iter().find(|shared| shared.options.name == pending.stream) {
        for origin in arrived(shared, &pending)? {
            journal.take(&pending.stream, origin);
        }
    }
    journal.store(disk, dir)
}

/// The records of a batch that are in the queue, now durably.
///
/// What was settled meanwhile is not among them: if it was not damaged, it was sent after an
/// opening that could not write this down, and is taken, and sent, a second time.
fn arrived(shared: &Shared, pending: &Pending) -> io::Result<Vec<Origin>> {
    let segments: Vec<_> = shared.state().segments.iter().map(|segment| segment.name).collect();
    let mut arrived = Vec::new();
    for (number, name) in segments.iter().enumerate() {
        let end = segments.get(number + 1).map_or(shared.state().next, |next| next.base);
        if pending.first >= end || name.base >= pending.end() {
            continue;
        }
        let survey = Survey::of(&*shared.disk, &shared.keys, &shared.dir, *name, end)?;
        let here = arrived_in(shared, &survey, pending);
        // What the disk reads badly is better taken twice than written again.
        if !here.is_empty() && survey.unreadable.is_empty() {
            make_durable(shared, *name, &survey)?;
            arrived.extend(here);
        }
    }
    Ok(arrived)
}

fn arrived_in(shared: &Shared, survey: &Survey, pending: &Pending) -> Vec<Origin> {
    let (mut decoded, state) = (Decoded::default(), shared.state());
    let mut found = survey.scan.records.iter().peekable();
    let mut arrived = Vec::new();
    for record in pending.records() {
        while found.next_if(|found| found.sequence < record.sequence).is_some() {}
        let Some(found) = found.next_if(|found| found.sequence == record.sequence) else {
            continue;
        };
        let bytes = survey.record(found, &mut decoded).unwrap_or_default();
        let is_it = content_checksum(&bytes) == record.checksum;
        if is_it && !state.settled.contains(record.sequence) {
            arrived.push(record.origin);
        }
    }
    arrived
}

/// What is read may not be on the disk: after a kill it was not synced, and what a failed sync did
/// not write is shown until the system forgets it, and passed over by all further syncs. So it is
/// written once more.
fn make_durable(shared: &Shared, name: SegmentName, survey: &Survey) -> io::Result<()> {
    let file = shared.disk.open(&shared.dir.join(name.file_name()), Access::Write)?;
    let data_end = usize::try_from(survey.scan.data_end).unwrap_or(usize::MAX);
    file.write_at(&survey.bytes[..data_end.min(survey.bytes.len())], 0)?;
    file.sync()?;
    shared.disk.sync_dir(&shared.dir)
}
