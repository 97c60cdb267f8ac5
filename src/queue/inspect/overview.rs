//! Every stream in a line.

use std::{collections::BTreeSet, io};

use super::{
    Folder, InspectError,
    folder::{Part, Sight, parts},
};
use crate::{Stamp, quarantine, recovery::SPARE_SUFFIX, settled::Settled, survey::Survey};

/// One stream, as far as can be told without reading all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOverview {
    /// The stream.
    pub stream: String,
    /// Records that wait.
    pub queued: u64,
    /// About how many bytes they take on disk.
    pub queued_bytes: u64,
    /// What all files of the stream take on disk.
    pub disk_bytes: u64,
    /// Records that were found damaged so far, by the ledger.
    pub damaged: u64,
    /// When the oldest intact record that waits was taken in.
    pub oldest: Option<Stamp>,
    /// And the newest.
    pub newest: Option<Stamp>,
    /// The first sequence that is not settled.
    pub floor: u64,
    /// The number that the next record will get.
    pub next_sequence: u64,
    /// Segment files.
    pub segments: usize,
    /// Files kept to be used again.
    pub spares: usize,
    /// Pieces that were cut out and kept.
    pub quarantined: usize,
    /// And their bytes.
    pub quarantined_bytes: u64,
    /// What an operator should know.
    pub notes: Vec<String>,
}

impl Folder {
    /// One line per stream. Reads no more than the cursors, the last segments, and those with the
    /// oldest and the newest record that waits.
    pub fn overview(&self) -> Result<Vec<StreamOverview>, InspectError> {
        let names = self.streams()?;
        let streams = names.iter().map(|name| self.overview_of(name));
        streams.collect::<io::Result<_>>().map_err(|source| self.failed(source))
    }

    fn overview_of(&self, stream: &str) -> io::Result<StreamOverview> {
        let found = self.assess(stream)?;
        let parts = parts(&found);
        let entries = self.disk.list(&self.dir.join(stream))?;
        let quarantined = self.quarantined(stream)?;
        let files = entries.iter().filter(|entry| !entry.is_dir);
        let (total, _) = found.accounts.page();
        Ok(StreamOverview {
            stream: stream.to_owned(),
            queued: total.queued,
            queued_bytes: parts.iter().map(|part| queued_bytes(*part, &found.settled)).sum(),
            disk_bytes: files.map(|entry| entry.bytes).sum::<u64>()
                + quarantined.iter().map(|(_, bytes)| bytes).sum::<u64>(),
            damaged: total.damaged,
            oldest: self.first_stamp(stream, parts.iter(), &found.settled, Survey::first_queued)?,
            newest: self.first_stamp(
                stream,
                parts.iter().rev(),
                &found.settled,
                Survey::last_queued,
            )?,
            floor: found.settled.floor(),
            next_sequence: found.next,
            segments: parts.len(),
            spares: entries.iter().filter(|entry| entry.name.ends_with(SPARE_SUFFIX)).count(),
            quarantined: pieces(&quarantined),
            quarantined_bytes: quarantined.iter().map(|(_, bytes)| bytes).sum(),
            notes: found.report.lines().collect(),
        })
    }

    /// The stamp that `pick` finds in the first of these segments in which it finds one.
    fn first_stamp<'a>(
        &self,
        stream: &str,
        parts: impl Iterator<Item = &'a Part>,
        settled: &Settled,
        pick: fn(&Survey, &Settled) -> Option<Stamp>,
    ) -> io::Result<Option<Stamp>> {
        for part in parts.filter(|part| part.queued(settled) > 0) {
            if let Sight::Seen(survey) = self.look_at(stream, *part)?
                && let Some(stamp) = pick(&survey, settled)
            {
                return Ok(Some(stamp));
            }
        }
        Ok(None)
    }

    /// The names and lengths of what was cut out.
    pub(super) fn quarantined(&self, stream: &str) -> io::Result<Vec<(String, u64)>> {
        match self.disk.list(&self.dir.join(stream).join(quarantine::FOLDER)) {
            Ok(entries) => Ok(entries.into_iter().map(|entry| (entry.name, entry.bytes)).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// How many pieces these files are: one each, or the bytes and the line that says why.
fn pieces(files: &[(String, u64)]) -> usize {
    let stems: BTreeSet<_> = files.iter().filter_map(|(name, _)| name.split('.').next()).collect();
    stems.len()
}

/// The share of the queued records in what a segment holds.
fn queued_bytes(part: Part, settled: &Settled) -> u64 {
    let bytes = u128::from(part.data_end) * u128::from(part.queued(settled));
    bytes.checked_div(u128::from(part.end - part.name.base)).map_or(0, |share| share as u64)
}

impl Survey {
    fn first_queued(&self, settled: &Settled) -> Option<Stamp> {
        let mut records = self.scan.records.iter();
        let found = records.find(|found| !settled.contains(found.sequence))?;
        self.stamp(found)
    }

    fn last_queued(&self, settled: &Settled) -> Option<Stamp> {
        let mut records = self.scan.records.iter().rev();
        let found = records.find(|found| !settled.contains(found.sequence))?;
        self.stamp(found)
    }
}
