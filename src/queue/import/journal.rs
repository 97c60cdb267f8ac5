//! The file that says what was taken over.

use std::{fmt::Write as _, io, ops::Range, path::Path};

use super::Origin;
use crate::{
    disk::{Access, Disk, read_whole},
    settled::Settled,
};

const FILE: &str = "imports";
/// It is written here first.
const FILE_NEW: &str = "imports.new";
const FIRST_LINE: &str = "holdfast imports 1";
/// The hexadecimal digits of a checksum.
const CHECKSUM_DIGITS: usize = 8;
/// No such file is longer.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Segments of other queues that are remembered; the first to be taken over are forgotten first.
const SEGMENTS_MAX: usize = 16 * 1024;

/// What was taken over from one segment of another queue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    stream: String,
    segment: u64,
    sequences: Settled,
}

/// A batch that is being appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) stream: String,
    /// The sequence that its first record gets here.
    pub(super) first: u64,
    /// Where its records come from, in their order.
    origins: Vec<(u64, Range<u64>)>,
    /// The checksum of each record's content, by which it is told from one that got its sequence
    /// instead.
    checksums: Vec<u32>,
}

/// A record of a batch that is being appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PendingRecord {
    /// The sequence that it gets here.
    pub(super) sequence: u64,
    pub(super) origin: Origin,
    /// Of its content.
    pub(super) checksum: u32,
}

impl Pending {
    pub(super) fn at(stream: &str, first: u64) -> Self {
        Self { stream: stream.to_owned(), first, origins: Vec::new(), checksums: Vec::new() }
    }

    pub(super) fn push(&mut self, origin: Origin, checksum: u32) {
        self.checksums.push(checksum);
        match self.origins.last_mut() {
            Some((segment, range))
                if *segment == origin.segment && range.end == origin.sequence =>
            {
                range.end += 1;
            }
            _ => self.origins.push((origin.segment, origin.sequence..origin.sequence + 1)),
        }
    }

    /// The sequence behind those that its records get.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(self.checksums.len() as u64)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = PendingRecord> {
        let origins = self.origins.iter().flat_map(|(segment, range)| {
            range.clone().map(|sequence| Origin { segment: *segment, sequence })
        });
        let records = (self.first..).zip(origins).zip(&self.checksums);
        records.map(|((sequence, origin), checksum)| PendingRecord {
            sequence,
            origin,
            checksum: *checksum,
        })
    }
}

/// What was taken over from other queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Journal {
    taken: Vec<Taken>,
    pub(super) pending: Option<Pending>,
}

impl Journal {
    /// Reads it; empty where there is none. `InvalidData` where it is damaged.
    pub(super) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let bytes = match disk.open(&dir.join(FILE), Access::Read) {
            Ok(file) => read_whole(&*file, BYTES_MAX)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        Self::decode(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
    }

    /// Replaces the file, durably.
    pub(super) fn store(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let (path, new) = (dir.join(FILE), dir.join(FILE_NEW));
        match disk.remove(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(&new)?;
        file.write_at(self.encode().as_bytes(), 0)?;
        file.sync()?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir)
    }

    pub(super) fn contains(&self, stream: &str, origin: Origin) -> bool {
        // Records come in the order of their segments, and the youngest are asked for most.
        let mut segments = self.taken.iter().rev();
        segments
            .find(|taken| taken.segment == origin.segment && taken.stream == stream)
            .is_some_and(|taken| taken.sequences.contains(origin.sequence))
    }

    pub(super) fn take(&mut self, stream: &str, origin: Origin) {
        self.take_range(stream, origin.segment, origin.sequence..origin.sequence + 1);
    }

    fn take_range(&mut self, stream: &str, segment: u64, sequences: Range<u64>) {
        let mut known = self.taken.iter_mut().rev();
        if let Some(taken) = known.find(|taken| taken.segment == segment && taken.stream == stream)
        {
            taken.sequences.insert_range(sequences);
            return;
        }
        if self.taken.len() >= SEGMENTS_MAX {
            self.taken.remove(0);
        }
        let mut taken = Taken { stream: stream.to_owned(), segment, sequences: Settled::below(0) };
        taken.sequences.insert_range(sequences);
        self.taken.push(taken);
    }

    fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        // Writing to a String cannot fail.
        for taken in &self.taken {
            let _ = write!(text, "taken {} {:016x}", taken.stream, taken.segment);
            for range in taken.sequences.settled_ranges() {
                let _ = write!(text, " {}-{}", range.start, range.end - 1);
            }
            text.push('\n');
        }
        if let Some(pending) = &self.pending {
            let _ = write!(text, "pending {} {}", pending.stream, pending.first);
            let mut checksums = pending.checksums.iter();
            for (segment, range) in &pending.origins {
                let _ = write!(text, " {segment:016x}:{}-{}:", range.start, range.end - 1);
                for checksum in checksums.by_ref().take((range.end - range.start) as usize) {
                    let _ = write!(text, "{checksum:08x}");
                }
            }
            text.push('\n');
        }
        let checksum = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "crc32c {checksum:08x}");
        text
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let at = text.rfind("crc32c ")?;
        let (content, last) = text.split_at(at);
        let checksum = u32::from_str_radix(last.strip_prefix("crc32c ")?.trim_end(), 16).ok()?;
        if checksum != crc32c::crc32c(content.as_bytes()) {
            return None;
        }
        let mut lines = content.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut journal = Self::default();
        for line in lines {
            journal.decode_line(line)?;
        }
        Some(journal)
    }

    fn decode_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (kind, stream, number) = (words.next()?, words.next()?, words.next()?);
        match kind {
            "taken" => {
                let segment = u64::from_str_radix(number, 16).ok()?;
                for word in words {
                    self.take_range(stream, segment, range(word)?);
                }
            }
            "pending" => {
                let mut pending = Pending::at(stream, number.parse().ok()?);
                for word in words {
                    let mut parts = word.split(':');
                    let segment = u64::from_str_radix(parts.next()?, 16).ok()?;
                    let sequences = range(parts.next()?)?;
                    // Before there were checksums nobody could tell such records from others:
                    // they are taken again.
                    let Some(digits) = parts.next() else { return Some(()) };
                    let checksums = checksums(digits)?;
                    if checksums.len() as u64 != sequences.end - sequences.start {
                        return None;
                    }
                    pending.origins.push((segment, sequences));
                    pending.checksums.extend(checksums);
                }
                self.pending = Some(pending);
            }
            _ => return None,
        }
        Some(())
    }
}

fn checksums(digits: &str) -> Option<Vec<u32>> {
    let each = digits.as_bytes().chunks(CHECKSUM_DIGITS);
    each.map(|digits| {
        let digits = std::str::from_utf8(digits).ok().filter(|one| one.len() == CHECKSUM_DIGITS)?;
        u32::from_str_radix(digits, 16).ok()
    })
    .collect()
}

fn range(word: &str) -> Option<Range<u64>> {
    let (first, last) = word.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..last.checked_add(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let mut journal = Journal::default();
        for sequence in [5, 6, 7, 0, 9] {
            journal.take("telemetry", Origin { segment: 0xabc, sequence });
        }
        journal.take("events", Origin { segment: 0xabc, sequence: 1 });
        let mut pending = Pending::at("telemetry", 1000);
        for sequence in [10, 11, 13] {
            pending.push(Origin { segment: 0xabc, sequence }, sequence as u32 + 7);
        }
        pending.push(Origin { segment: 0xdef, sequence: 14 }, u32::MAX);
        journal.pending = Some(pending);
        journal
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = journal().encode();
        assert_eq!(Journal::decode(text.as_bytes()), Some(journal()), "{text}");
        let pending = journal().pending.unwrap();
        let last = pending.records().last().unwrap();
        let origin = Origin { segment: 0xdef, sequence: 14 };
        assert_eq!(last, PendingRecord { sequence: 1003, origin, checksum: u32::MAX });
        assert_eq!((pending.origins.len(), pending.end()), (3, 1004));
    }

    #[test]
    fn a_batch_of_which_no_checksums_are_known_is_not_pending() {
        let text = "holdfast imports 1\ntaken a 0000000000000abc 1-2\npending a 7 abc:3-4\n";
        let text = format!("{text}crc32c {:08x}\n", crc32c::crc32c(text.as_bytes()));
        let journal = Journal::decode(text.as_bytes()).unwrap();
        assert_eq!(journal.pending, None);
        assert!(journal.contains("a", Origin { segment: 0xabc, sequence: 2 }));
        assert!(!journal.contains("a", Origin { segment: 0xabc, sequence: 3 }));
    }

    #[test]
    fn only_what_was_taken_is_contained() {
        let journal = journal();
        let contains = |stream: &str, segment, sequence| {
            journal.contains(stream, Origin { segment, sequence })
        };
        assert!(contains("telemetry", 0xabc, 6) && contains("telemetry", 0xabc, 0));
        assert!(!contains("telemetry", 0xabc, 8) && !contains("telemetry", 0xabc, 10));
        assert!(!contains("events", 0xabc, 6) && !contains("telemetry", 0xdef, 6));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let good = journal().encode().into_bytes();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let decoded = Journal::decode(&bad);
            // Hexadecimal digits may be of either case, and the end of the line be of any kind.
            assert!(decoded.is_none_or(|decoded| decoded == journal()), "bit {bit}");
        }
        for length in 0..good.len() - 1 {
            assert_eq!(Journal::decode(&good[..length]), None, "cut at {length}");
        }
    }
}
