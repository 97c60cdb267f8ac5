//! Looking into a queue's folder without locking it or changing anything in it.
//!
//! Works on the folder of a dead gateway, on a copy, and on that of a running one, of which it
//! shows what is on disk at that moment.

use std::{io, path::Path};

use serde::Serialize;
use thiserror::Error;

use super::{
    Damage, Keys, Ledger,
    damage::{named, open_gaps},
    disk::{Access, Disk, RealDisk},
    open::stream_folders,
    recovery::{Assessment, assess},
    survey::Survey,
};

/// A running gateway may change the folder while it is read; then it is read again, at most this
/// often.
const TRIES: usize = 5;

/// Why a folder could not be looked into.
#[derive(Debug, Error)]
#[error("{dir} cannot be read: {source}")]
pub struct InspectError {
    /// The folder.
    pub dir: String,
    /// What the operating system says.
    pub source: io::Error,
}

/// What is damaged in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Queued records that are damaged, in order, stream by stream.
    pub damage: Vec<Damage>,
    /// Anything else that an operator should know.
    pub notes: Vec<String>,
    /// Queued records that are intact.
    pub intact: u64,
}

/// The ledger of the queue in `dir`.
pub fn inspect(dir: &Path, keys: &Keys) -> Result<Ledger, InspectError> {
    inspect_on(&RealDisk, keys, dir).map_err(|source| failed(dir, source))
}

/// Reads every record of the queue in `dir` and names each that is damaged.
pub fn verify(dir: &Path, keys: &Keys) -> Result<Report, InspectError> {
    verify_on(&RealDisk, keys, dir).map_err(|source| failed(dir, source))
}

fn failed(dir: &Path, source: io::Error) -> InspectError {
    InspectError { dir: dir.display().to_string(), source }
}

pub(super) fn inspect_on(disk: &dyn Disk, keys: &Keys, dir: &Path) -> io::Result<Ledger> {
    let mut streams = Vec::new();
    for name in sorted_streams(disk, dir)? {
        let found = settle_down(disk, keys, dir, &name)?;
        let (total, sources) = found.accounts.page();
        let next_sequence = found.next;
        streams.push(super::StreamLedger { stream: name, total, next_sequence, sources });
    }
    Ok(Ledger { streams })
}

pub(super) fn verify_on(disk: &dyn Disk, keys: &Keys, dir: &Path) -> io::Result<Report> {
    let mut report = Report::default();
    for name in sorted_streams(disk, dir)? {
        let found = settle_down(disk, keys, dir, &name)?;
        let stream_dir = dir.join(&name);
        let ends = found.segments.iter().skip(1).map(|next| next.name.base).chain([found.next]);
        for (segment, end) in found.segments.iter().zip(ends) {
            let survey = Survey::of(disk, keys, &stream_dir, segment.name, end)?;
            let gaps = open_gaps(&survey.scan.gaps(segment.name.base, end), &found.settled);
            let path = stream_dir.join(segment.name.file_name());
            let gone = disk
                .open(&path, Access::Read)
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            // A running gateway gives back what is settled meanwhile.
            if !gone {
                report.damage.extend(named(&name, segment.name, &gaps));
            }
            let records = survey.scan.records.iter();
            let queued = records.filter(|record| !found.settled.contains(record.sequence));
            report.intact += queued.count() as u64;
        }
        report.damage.extend(found.report.damage);
        report.notes.extend(found.report.notes);
    }
    Ok(report)
}

fn sorted_streams(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<String>> {
    let mut names = stream_folders(disk, dir)?;
    names.sort();
    Ok(names)
}

/// Assesses until two looks agree on whether anything is wrong, so that a batch caught half
/// written, or a segment given back meanwhile, is not taken for damage.
fn settle_down(disk: &dyn Disk, keys: &Keys, dir: &Path, stream: &str) -> io::Result<Assessment> {
    let stream_dir = dir.join(stream);
    let mut found = assess(disk, keys, &stream_dir, stream)?;
    for _ in 1..TRIES {
        if found.report.is_clean() {
            break;
        }
        let again = assess(disk, keys, &stream_dir, stream)?;
        let steady = again.report == found.report;
        found = again;
        if steady {
            break;
        }
    }
    Ok(found)
}
