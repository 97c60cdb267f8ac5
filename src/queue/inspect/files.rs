//! Every file of a stream and what is in it.

use std::io;

use serde::Serialize;

use super::{
    Folder, InspectError,
    folder::{Part, Sight, parts},
};
use crate::{
    KeyTag, Stamp, quarantine,
    recovery::SPARE_SUFFIX,
    segment::{self, SegmentName},
    settled::Settled,
};

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its name within the stream's folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// The format version that it says it has.
    pub format_version: Option<u16>,
    /// The key that is needed to read it, where it is encrypted.
    pub key: Option<KeyTag>,
    /// The first sequence that it may hold.
    pub base: u64,
    /// The sequence after the last.
    pub end: u64,
    /// Intact records in it, settled or not.
    pub records: u64,
    /// Intact records that wait.
    pub queued: u64,
    /// Records that would wait, and are damaged.
    pub damaged: u64,
    /// When its first intact record was taken in.
    pub oldest: Option<Stamp>,
    /// And its last.
    pub newest: Option<Stamp>,
}

/// What another file is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// One of the two slots of the cursor.
    Cursor,
    /// A retired segment, kept to be used again.
    Spare,
    /// A segment that holds nothing needed any more, or was replaced by a later one.
    Dead,
    /// Space for the cursor on a full disk.
    Ballast,
    /// Bytes that were cut out.
    Quarantine,
    /// Not the queue's.
    Unknown,
}

/// Any other file of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherFile {
    /// Its name within the stream's folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// What it is there for.
    pub purpose: Purpose,
}

/// The files of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamFiles {
    /// Those that hold records, oldest first.
    pub segments: Vec<SegmentFile>,
    /// All others, by name.
    pub others: Vec<OtherFile>,
}

impl Folder {
    /// Every file of a stream; reads every segment.
    pub fn files(&self, stream: &str) -> Result<StreamFiles, InspectError> {
        self.expect(stream)?;
        self.files_of(stream).map_err(|source| self.failed(source))
    }

    /// The files of a stream that hold nothing needed.
    pub(crate) fn dead_files(&self, stream: &str) -> Result<Vec<String>, InspectError> {
        let found = self.assess(stream).map_err(|source| self.failed(source))?;
        Ok(found.dead)
    }

    fn files_of(&self, stream: &str) -> io::Result<StreamFiles> {
        let found = self.assess(stream)?;
        let mut files = StreamFiles::default();
        for part in parts(&found) {
            if let Some(mut file) = self.segment_file(stream, part, &found.settled)? {
                // What the assessment itself found is settled by it.
                let known = found.report.damage.iter().filter(|one| one.file == file.file);
                file.damaged +=
                    known.map(|one| one.sequences.end - one.sequences.start).sum::<u64>();
                files.segments.push(file);
            }
        }
        for entry in self.disk.list(&self.dir.join(stream))? {
            let is_shown = files.segments.iter().any(|segment| segment.file == entry.name);
            if entry.is_dir || is_shown {
                continue;
            }
            let purpose = purpose(&entry.name);
            files.others.push(OtherFile { file: entry.name, bytes: entry.bytes, purpose });
        }
        let cut_out = self.quarantined(stream)?.into_iter().map(|(name, bytes)| OtherFile {
            file: format!("{}/{name}", quarantine::FOLDER),
            bytes,
            purpose: Purpose::Quarantine,
        });
        files.others.extend(cut_out);
        files.others.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(files)
    }

    fn segment_file(
        &self,
        stream: &str,
        part: Part,
        settled: &Settled,
    ) -> io::Result<Option<SegmentFile>> {
        let mut file = SegmentFile {
            file: part.name.file_name(),
            bytes: part.file_bytes,
            format_version: None,
            key: None,
            base: part.name.base,
            end: part.end,
            records: 0,
            queued: 0,
            damaged: part.queued(settled),
            oldest: None,
            newest: None,
        };
        let survey = match self.look_at(stream, part)? {
            Sight::Gone => return Ok(None),
            Sight::Unreadable(_) => return Ok(Some(file)),
            Sight::Seen(survey) => survey,
        };
        let records = &survey.scan.records;
        let stamp = |found| survey.stamp(found);
        file.format_version = segment::version(&survey.bytes);
        file.key = survey.scan.key;
        file.records = records.len() as u64;
        file.queued = records.iter().filter(|one| !settled.contains(one.sequence)).count() as u64;
        file.damaged = file.damaged.saturating_sub(file.queued);
        file.oldest = records.first().and_then(stamp);
        file.newest = records.last().and_then(stamp);
        Ok(Some(file))
    }
}

fn purpose(name: &str) -> Purpose {
    match name {
        "cursor.0" | "cursor.1" => Purpose::Cursor,
        "ballast" => Purpose::Ballast,
        _ if name.ends_with(SPARE_SUFFIX) => Purpose::Spare,
        _ if SegmentName::parse(name).is_some() => Purpose::Dead,
        _ => Purpose::Unknown,
    }
}
