//! The bytes that were cut out, kept for whoever wants to look into them, and why they were.
//!
//! `quarantine/<segment>-<first byte>-<first sequence>.bad` holds the bytes as they were found,
//! where there are any, and `.txt` beside it one line: which records were lost, where, and why.
//! The folder is bounded: the oldest make room.

use std::{collections::VecDeque, fmt, io, ops::Range, path::Path};

use bytes::Bytes;

use super::{
    Damage, Torn,
    disk::{Disk, Entry},
    scan::Gap,
    segment::SegmentName,
    survey::{Survey, read_again},
};

/// The folder's name within the stream's.
pub(super) const FOLDER: &str = "quarantine";
/// The most that is kept of a stream, unless its own limit is small.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The folder takes at most this part of the stream's limit.
pub(super) const SHARE_OF_LIMIT: u64 = 16;
/// The most that is kept of one gap.
const PIECE_BYTES_MAX: u64 = 1024 * 1024;
/// The most files, so that many small pieces stay bounded too.
pub(super) const FILES_MAX: usize = 1000;

/// Something that was cut out of a segment, without its bytes: they still lie where they were.
#[derive(Debug)]
struct Piece {
    segment: SegmentName,
    gap: Gap,
    /// Whether its write was cut off, so that it is no loss.
    is_torn: bool,
    /// Whether some of it could not be read.
    is_unreadable: bool,
    /// The length of the segment's file.
    file_bytes: u64,
}

impl Piece {
    fn of(survey: &Survey, gap: &Gap, is_torn: bool) -> Self {
        let touches = |bad: &Range<u64>| {
            bad.start < gap.bytes.end.max(gap.bytes.start + 1) && gap.bytes.start < bad.end
        };
        Self {
            segment: survey.name,
            gap: gap.clone(),
            is_torn,
            is_unreadable: survey.unreadable.iter().any(touches),
            file_bytes: survey.bytes.len() as u64,
        }
    }

    /// Which of its bytes are kept.
    fn range(&self) -> Range<u64> {
        let Range { start, end } = self.gap.bytes;
        let end = end.min(start + PIECE_BYTES_MAX).min(self.file_bytes);
        start.min(end)..end
    }

    fn stem(&self) -> String {
        let name = self.segment.file_name();
        let name = name.trim_end_matches(".seg");
        format!("{name}-{:08}-{:020}", self.gap.bytes.start, self.gap.sequences.start)
    }
}

/// What was cut out of a stream's segments, the oldest first, as far as the folder takes it.
#[derive(Debug, Default)]
pub(super) struct Pieces(VecDeque<Piece>);

impl Pieces {
    /// Takes in what is missing from a segment. More than the folder has files for is of no use:
    /// the oldest would go at once.
    pub(super) fn cut_out(&mut self, survey: &Survey, damaged: &[Gap], torn: Option<&Gap>) {
        let damaged = damaged.iter().map(|gap| (gap, false));
        for (gap, is_torn) in damaged.chain(torn.map(|gap| (gap, true))) {
            if self.0.len() >= FILES_MAX {
                self.0.pop_front();
            }
            self.0.push_back(Piece::of(survey, gap, is_torn));
        }
    }

    /// Keeps them; the segments are as they were when they were read.
    pub(super) fn keep(&self, disk: &dyn Disk, stream_dir: &Path, stream_bytes_max: u64) {
        self.keep_from(disk, stream_dir, stream_bytes_max, |piece| {
            read_again(disk, stream_dir, piece.segment, piece.range())
        });
    }

    /// It is a help for the curious, not part of any promise: a failure is logged and nothing
    /// else.
    fn keep_from(
        &self,
        disk: &dyn Disk,
        stream_dir: &Path,
        stream_bytes_max: u64,
        bytes_of: impl Fn(&Piece) -> io::Result<Bytes>,
    ) {
        let bytes_max = BYTES_MAX.min(stream_bytes_max / SHARE_OF_LIMIT);
        let dir = stream_dir.join(FOLDER);
        let stream = stream_dir.file_name().unwrap_or_default().to_string_lossy();
        for piece in &self.0 {
            let kept = bytes_of(piece).and_then(|bytes| {
                let why = why(&stream, piece, &bytes);
                keep_one(disk, &dir, bytes_max, &piece.stem(), &bytes, &why)
            });
            if let Err(error) = kept {
                tracing::warn!("damaged bytes could not be kept in {}: {error}", dir.display());
                return;
            }
        }
    }
}

/// Why records were cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Unreadable,
    FileEnds(u64),
    Zeros,
    NoChecksumFits,
}

impl Why {
    fn of(piece: &Piece, bytes: &[u8]) -> Self {
        if piece.is_unreadable {
            Self::Unreadable
        } else if bytes.is_empty() {
            Self::FileEnds(piece.file_bytes)
        } else if bytes.iter().all(|byte| *byte == 0) {
            Self::Zeros
        } else {
            Self::NoChecksumFits
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("the disk could not read all of these bytes"),
            Self::FileEnds(at) => write!(f, "nothing is left of them, the file has {at} bytes"),
            Self::Zeros => f.write_str("there are only zeros"),
            Self::NoChecksumFits => f.write_str("no checksum fits what is there"),
        }
    }
}

/// The line that says what is missing, and why.
fn why(stream: &str, piece: &Piece, bytes: &[u8]) -> String {
    if piece.is_torn {
        return format!("{}\n", Torn::of(stream, piece.segment, &piece.gap));
    }
    format!("{}: {}\n", Damage::of(stream, piece.segment, &piece.gap), Why::of(piece, bytes))
}

/// Keeps the bytes of `gaps` as the survey has them: the segment may be gone by now.
pub(super) fn keep(
    disk: &dyn Disk,
    stream_dir: &Path,
    stream_bytes_max: u64,
    survey: &Survey,
    gaps: &[Gap],
) {
    let mut pieces = Pieces::default();
    pieces.cut_out(survey, gaps, None);
    pieces.keep_from(disk, stream_dir, stream_bytes_max, |piece| {
        let Range { start, end } = piece.range();
        Ok(survey.bytes.slice(start as usize..end as usize))
    });
}

fn keep_one(
    disk: &dyn Disk,
    dir: &Path,
    bytes_max: u64,
    stem: &str,
    piece: &[u8],
    why: &str,
) -> io::Result<()> {
    // Zeros tell nothing that the line does not.
    let worth_it = piece.iter().any(|byte| *byte != 0);
    let piece = if worth_it && piece.len() as u64 <= bytes_max { piece } else { &[] };
    let wanted = [(format!("{stem}.bad"), piece), (format!("{stem}.txt"), why.as_bytes())];
    disk.create_dir(dir)?;
    let mut entries = disk.list(dir)?;
    let present = |name: &String| entries.iter().any(|entry| entry.name == *name);
    let wanted: Vec<_> =
        wanted.into_iter().filter(|(name, bytes)| !bytes.is_empty() && !present(name)).collect();
    let bytes = wanted.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    make_room(disk, dir, &mut entries, bytes_max.saturating_sub(bytes), wanted.len())?;
    for (name, bytes) in wanted {
        let file = disk.create(&dir.join(&name))?;
        file.write_at(bytes, 0)?;
        file.sync()?;
    }
    disk.sync_dir(dir)
}

fn make_room(
    disk: &dyn Disk,
    dir: &Path,
    entries: &mut Vec<Entry>,
    bytes_max: u64,
    files: usize,
) -> io::Result<()> {
    // Names begin with the segment's base, so that their order is that of the records.
    entries.sort_by(|a, b| b.name.cmp(&a.name));
    let mut kept: u64 = entries.iter().map(|entry| entry.bytes).sum();
    while kept > bytes_max || entries.len() + files > FILES_MAX {
        let Some(oldest) = entries.pop() else { break };
        disk.remove(&dir.join(&oldest.name))?;
        kept -= oldest.bytes;
    }
    Ok(())
}
