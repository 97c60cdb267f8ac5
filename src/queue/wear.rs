//! What the queue writes, and how long flash bears it.
//!
//! A device is written in pages, so each write counts as every page of [`PAGE_BYTES`] that it
//! touches. That is the least a device can see of it: the file system's journal, the erase blocks
//! inside the device, and space reserved by writing zeros (where a file system cannot reserve it
//! otherwise) are not counted. The counts begin when the queue is opened.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::Serialize;

use super::recovery::SPARE_SUFFIX;

/// The smallest piece in which a device is taken to be written.
pub const PAGE_BYTES: u64 = 4096;
/// How often every cell of the device is taken to bear being written. Published figures for the
/// three-bit cells of consumer cards lie between 300 and 5,000; industrial cards give 3,000 or
/// more (`docs/operating/monitoring.md`).
pub const ENDURANCE_CYCLES: u64 = 1_000;
/// How much the device, with the file system's journal, is taken to write for each page handed to
/// it: small synced writes make a card move whole blocks.
pub const DEVICE_WRITE_AMPLIFICATION: f64 = 4.0;

const SECONDS_PER_YEAR: f64 = 365.25 * 86_400.0;

/// What a write was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Frames,
    Header,
    Cursor,
    Other,
}

impl Part {
    /// What a file is for, by its name.
    pub(super) fn of_file(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".seg") || name.ends_with(SPARE_SUFFIX) {
            Self::Frames
        } else if name.starts_with("cursor.") {
            Self::Cursor
        } else {
            Self::Other
        }
    }

    /// A segment begins with its header, and nothing else is ever written there.
    pub(super) fn at(self, offset: u64) -> Self {
        if self == Self::Frames && offset == 0 { Self::Header } else { self }
    }
}

/// Counts what one stream writes.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pages: [AtomicU64; 4],
    log_bytes: AtomicU64,
    syncs: AtomicU64,
    commits: AtomicU64,
    committed: AtomicU64,
}

impl Meter {
    pub(super) fn write(&self, part: Part, offset: u64, bytes: u64) {
        self.pages[part as usize].fetch_add(pages_touched(offset, bytes), Ordering::Relaxed);
        if matches!(part, Part::Frames | Part::Header) {
            self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn sync(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// A commit of so many records.
    pub(super) fn commit(&self, records: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.committed.fetch_add(records, Ordering::Relaxed);
    }

    /// Bytes of frames and headers, as they are: what the stream's limit is used up by.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn wear(&self) -> Wear {
        let [frames, header, cursor, other] =
            self.pages.each_ref().map(|pages| pages.load(Ordering::Relaxed) * PAGE_BYTES);
        Wear {
            frame_bytes: frames,
            header_bytes: header,
            cursor_bytes: cursor,
            other_bytes: other,
            syncs: self.syncs.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            committed: self.committed.load(Ordering::Relaxed),
        }
    }
}

fn pages_touched(offset: u64, bytes: u64) -> u64 {
    if bytes == 0 {
        return 0;
    }
    (offset + bytes - 1) / PAGE_BYTES - offset / PAGE_BYTES + 1
}

/// What one stream has written since the queue was opened; bytes are those of whole pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Wear {
    /// For records and the frames around them.
    pub frame_bytes: u64,
    /// For the headers of segments.
    pub header_bytes: u64,
    /// For the cursor.
    pub cursor_bytes: u64,
    /// For anything else, such as the quarantine.
    pub other_bytes: u64,
    /// Syncs of files and of folders.
    pub syncs: u64,
    /// Batches that were written.
    pub commits: u64,
    /// Records in these batches.
    pub committed: u64,
}

impl Wear {
    /// All of it.
    pub fn written_bytes(&self) -> u64 {
        self.frame_bytes + self.header_bytes + self.cursor_bytes + self.other_bytes
    }

    /// Bytes written for each record; none before there is a record.
    pub fn bytes_per_record(&self) -> Option<f64> {
        (self.committed > 0).then(|| self.written_bytes() as f64 / self.committed as f64)
    }

    /// Records per batch; none before there is a batch.
    pub fn records_per_commit(&self) -> Option<f64> {
        (self.commits > 0).then(|| self.committed as f64 / self.commits as f64)
    }
}

/// How many years a device lasts if it wears evenly and nothing but `bytes_per_second` is written
/// to it; none where nothing is.
pub fn flash_life_years(capacity_bytes: u64, bytes_per_second: f64) -> Option<f64> {
    let worn_per_second = bytes_per_second * DEVICE_WRITE_AMPLIFICATION;
    let bearable = capacity_bytes as f64 * ENDURANCE_CYCLES as f64;
    (worn_per_second > 0.0).then(|| bearable / worn_per_second / SECONDS_PER_YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_counts_as_every_page_it_touches() {
        for (offset, bytes, pages) in
            [(0, 0, 0), (0, 1, 1), (0, 4096, 1), (0, 4097, 2), (4095, 2, 2), (100, 8192, 3)]
        {
            assert_eq!(pages_touched(offset, bytes), pages, "{bytes} at {offset}");
        }
    }

    #[test]
    fn what_a_write_is_for_is_told_by_the_file_and_the_place() {
        let part =
            |name: &str, offset| Part::of_file(&Path::new("/q/telemetry").join(name)).at(offset);
        assert_eq!(part("00000000000000000000-0000000100000000.seg", 0), Part::Header);
        assert_eq!(part("00000000000000000000-0000000100000000.seg", 64), Part::Frames);
        assert_eq!(part("0000000100000000.spare", 0), Part::Header);
        assert_eq!(part("cursor.1", 0), Part::Cursor);
        assert_eq!(part("ballast", 0), Part::Other);
    }

    #[test]
    fn a_card_of_16_gb_bears_10_kb_a_second_for_twelve_years() {
        let years = flash_life_years(16_000_000_000, 10_000.0).unwrap();
        // 16e9 × 1,000 cycles ÷ (10e3 × 4) = 4e8 s.
        assert!((years - 12.675).abs() < 0.001, "{years}");
        assert_eq!(flash_life_years(16_000_000_000, 0.0), None);
    }
}
