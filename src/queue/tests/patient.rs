//! A queue that is about to be damaged, and what must hold of it afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::harness::{Harness, STREAM, root};
use crate::{
    Folder, Keys, OnFull, StreamOptions, cursor,
    disk::simulated::SimulatedDisk,
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    segment::SegmentName,
    survey::Survey,
};

/// What a record was when it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) source: String,
    pub(super) payload: String,
}

/// Where a record, or the header of a frame, lies. A record in an encoded frame takes all of it.
#[derive(Debug, Clone)]
struct Piece {
    /// The sequences it speaks for.
    sequences: Range<u64>,
    bytes: Range<usize>,
}

#[derive(Debug)]
struct SegmentLayout {
    path: PathBuf,
    name: SegmentName,
    content: Vec<u8>,
    data_start: usize,
    records: Vec<Piece>,
    frames: Vec<Piece>,
}

/// A queue whose process has ended, and everything about it that damage may change.
#[derive(Debug)]
pub(super) struct Patient {
    disk: SimulatedDisk,
    options: StreamOptions,
    keys: Keys,
    originals: BTreeMap<u64, Original>,
    /// What is served as long as nothing is damaged.
    queued: BTreeSet<u64>,
    segments: Vec<SegmentLayout>,
    cursors: Vec<(PathBuf, Vec<u8>)>,
}

/// What became of the records of a damaged queue.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    /// Queued, and no longer served.
    pub(super) lost: u64,
    /// Of these, those of which nothing that is left on disk knows.
    pub(super) unprovable: u64,
    /// Of these, those that look as if their write had been cut off.
    pub(super) torn: u64,
}

impl Patient {
    /// `originals` is everything that was ever appended.
    pub(super) fn new(disk: SimulatedDisk, keys: Keys, originals: BTreeMap<u64, Original>) -> Self {
        let options = StreamOptions {
            on_full: OnFull::Reject,
            bytes_max: 1024 * 1024,
            ..StreamOptions::with_defaults(STREAM)
        };
        let healthy = Harness::with_keys(disk.duplicate(), options.clone(), keys.clone());
        let queued = healthy.check().iter().map(|record| record.sequence).collect();
        assert_eq!(healthy.total().damaged, 0);
        let mut names: Vec<_> = disk
            .paths()
            .into_iter()
            .filter_map(|path| {
                let name = SegmentName::parse(path.file_name()?.to_str()?)?;
                Some((name, path))
            })
            .collect();
        names.sort();
        let limits = names.iter().skip(1).map(|(name, _)| name.base).chain([u64::MAX]);
        let limits: Vec<u64> = limits.collect();
        let segments = names.into_iter().zip(limits);
        let segments = segments
            .map(|((name, path), limit)| SegmentLayout::of(&disk, &keys, path, name, limit));
        let segments = segments.collect();
        let cursors = disk.paths().into_iter().filter(|path| is_cursor(path));
        let cursors = cursors.map(|path| (path.clone(), disk.content(&path))).collect();
        Self { disk, options, keys, originals, queued, segments, cursors }
    }

    /// The files that damage may strike.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let paths = self.disk.paths().into_iter();
        paths.filter(|path| !path.ends_with("ballast")).collect()
    }

    /// The bytes of a file up to where it is zeros to the end.
    pub(super) fn used(&self, path: &Path) -> usize {
        let content = self.disk.content(path);
        content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
    }

    pub(super) fn copy(&self) -> SimulatedDisk {
        self.disk.duplicate()
    }

    /// Opens a damaged copy and checks all that must hold, whatever the damage was:
    ///
    /// - It opens, and serves no record that was not appended, in order.
    /// - Every queued record whose own bytes are whole is served; in an encoded frame these are the
    ///   whole frame's.
    /// - Without damage to a cursor, nothing that was settled is served again.
    /// - Every lost record of which anything left on disk knows is named, counted, and named by
    ///   `verify` before. What nobody knows of was in the last segment, behind all that is left
    ///   of it and all that a cursor knew.
    /// - Only lost records behind all that is served and all that the cursor that is left knew are
    ///   told as torn, and their sequences are the next.
    /// - Nothing else is named or counted, unless the cursor that knew it to be settled is gone.
    /// - Sequences that were used are not used again, as far as that can be known.
    ///
    /// Of one wound that spares the headers and what was settled, the ledger knows exactly whose
    /// records it cost.
    pub(super) fn examine(
        &self,
        damaged: SimulatedDisk,
        one_wound: bool,
        what: &str,
    ) -> (Harness, Outcome) {
        let known_end = self.known_end(&damaged);
        let cursor_end = cursor_end(&damaged);
        let touched = self.touched(&damaged);
        let cursor_touched =
            self.cursors.iter().any(|(path, content)| damaged.content(path) != *content);
        let folder = Folder::on(Arc::new(damaged.clone()), &root()).with_keys(self.keys.clone());
        let verified = folder.verify().unwrap();
        let named: BTreeSet<u64> =
            verified.damage.iter().flat_map(|damage| damage.sequences.clone()).collect();
        let torn: BTreeSet<u64> =
            verified.torn.iter().flat_map(|torn| torn.sequences.clone()).collect();

        let exact =
            one_wound && self.headers_are_whole(&damaged) && touched.is_subset(&self.queued);
        let queue = Harness::with_keys(damaged, self.options.clone(), self.keys.clone());
        let records = if exact { queue.check() } else { queue.check_the_sums() };
        for record in &records {
            let original = self.originals.get(&record.sequence);
            let original = original.unwrap_or_else(|| panic!("{what}: {record:?}"));
            assert_eq!(record.payload, original.payload, "{what}: {}", record.sequence);
            assert_eq!(*record.source, *original.source, "{what}: {}", record.sequence);
            assert_eq!(record.topic, format!("t/{}", original.source), "{what}");
        }
        assert!(records.is_sorted_by(|a, b| a.sequence < b.sequence), "{what}: order");
        let served: BTreeSet<u64> = records.iter().map(|record| record.sequence).collect();

        let lost: BTreeSet<u64> = self.queued.difference(&served).copied().collect();
        assert!(lost.is_subset(&touched), "{what}: {lost:?} lost, {touched:?} touched");
        if !cursor_touched {
            assert!(served.is_subset(&self.queued), "{what}: {served:?}");
            assert!(named.is_subset(&lost), "{what}: {named:?} named, {lost:?} lost");
            assert!(torn.is_subset(&lost), "{what}: {torn:?} torn, {lost:?} lost");
        }
        let next = queue.shared().state().next;
        if let (Some(first), Some(last)) = (torn.first(), torn.last()) {
            assert_eq!((next, known_end), (*first, last + 1), "{what}: {torn:?} torn");
            assert!(*first >= cursor_end, "{what}: {torn:?} torn, {cursor_end} were known");
            assert!(served.last() < Some(first) && named.last() < Some(first), "{what}");
        } else {
            assert!(next >= known_end, "{what}: {known_end} were known");
        }
        assert_eq!(queue.recovery.torn, verified.torn, "{what}");
        assert!(named.is_disjoint(&served), "{what}: {named:?} named and served");
        let provable: BTreeSet<u64> = lost.range(..known_end).copied().collect();
        let told = &named | &torn;
        assert!(provable.is_subset(&told), "{what}: {provable:?} lost, {told:?} told");
        assert_eq!(verified.intact, records.len() as u64, "{what}: {verified:?}");
        assert_eq!(queue.total().damaged, named.len() as u64, "{what}: {verified:?}");
        let outcome = Outcome {
            lost: lost.len() as u64,
            unprovable: (lost.len() - provable.len()) as u64,
            torn: torn.len() as u64,
        };
        (queue, outcome)
    }

    /// The records of which a byte has changed or is gone.
    fn touched(&self, damaged: &SimulatedDisk) -> BTreeSet<u64> {
        let touched = self.segments.iter().flat_map(|segment| {
            let now = damaged.content(&segment.path);
            let changed =
                segment.records.iter().filter(move |piece| !segment.is_whole(piece, &now));
            changed.flat_map(|piece| piece.sequences.clone())
        });
        touched.collect()
    }

    fn headers_are_whole(&self, damaged: &SimulatedDisk) -> bool {
        self.segments.iter().all(|segment| {
            let header = Piece { sequences: 0..0, bytes: 0..segment.data_start };
            segment.is_whole(&header, &damaged.content(&segment.path))
        })
    }

    /// The sequence after the last that anything left on disk speaks of.
    fn known_end(&self, damaged: &SimulatedDisk) -> u64 {
        let segments = self.segments.iter().map(|segment| {
            let now = damaged.content(&segment.path);
            let pieces = segment.records.iter().chain(&segment.frames);
            let whole = pieces.filter(|piece| segment.is_whole(piece, &now));
            whole.map(|piece| piece.sequences.end).max().unwrap_or(0).max(segment.name.base)
        });
        segments.max().unwrap_or(0).max(cursor_end(damaged))
    }
}

impl SegmentLayout {
    fn of(disk: &SimulatedDisk, keys: &Keys, path: PathBuf, name: SegmentName, limit: u64) -> Self {
        let survey = Survey::of(disk, keys, &root().join(STREAM), name, limit).unwrap();
        let records = survey.scan.records.iter().map(|found| Piece {
            sequences: found.sequence..found.sequence + 1,
            bytes: found.range(),
        });
        let records = records.collect();
        let mut frames = Vec::new();
        let data_start = survey.header.map_or(0, |header| header.data_start as usize);
        let mut at = data_start;
        while let Some(header) =
            survey.bytes.get(at..).and_then(|bytes| FrameHeader::decode(bytes, name.salt()))
        {
            let bytes = at..at + FRAME_HEADER_BYTES;
            frames.push(Piece { sequences: header.first_sequence..header.end_sequence(), bytes });
            at += FRAME_HEADER_BYTES + header.body_bytes as usize;
        }
        Self { path, name, content: survey.bytes.to_vec(), data_start, records, frames }
    }

    fn is_whole(&self, piece: &Piece, now: &[u8]) -> bool {
        now.get(piece.bytes.clone()) == self.content.get(piece.bytes.clone())
    }
}

/// The sequence after the last that a cursor left on disk knows.
fn cursor_end(disk: &SimulatedDisk) -> u64 {
    let slots = cursor::read(disk, &root().join(STREAM)).unwrap();
    slots.newest.map_or(0, |(_, snapshot)| snapshot.next)
}

fn is_cursor(path: &Path) -> bool {
    path.to_string_lossy().contains("cursor.")
}

/// A queue that was damaged goes on working, and its damage is counted once.
pub(super) fn goes_on(mut queue: Harness, what: &str) {
    let served = queue.read_all().len();
    let next = queue.shared().state().next;
    assert_eq!(queue.fill("new", 1, 10), vec![next], "{what}");
    let damaged = queue.total().damaged;
    queue.close();
    queue.open();
    assert!(queue.recovery.damage.is_empty(), "{what}: {}", queue.recovery);
    assert_eq!(queue.check_the_sums().len(), served + 1, "{what}");
    assert_eq!(queue.total().damaged, damaged, "{what}");
}
