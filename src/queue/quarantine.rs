//! The bytes that were cut out, kept for whoever wants to look into them, and why they were.
//!
//! `quarantine/<segment>-<first byte>-<first sequence>.bad` holds the bytes as they were found,
//! where there are any, and `.txt` beside it one line: which records were lost, where, and why.
//! The folder is bounded: the oldest make room.

use std::{fmt, io, path::Path};

use super::{
    Torn,
    damage::named,
    disk::{Disk, Entry},
    scan::Gap,
    segment::SegmentName,
    survey::Survey,
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

/// Why records were cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Unreadable,
    FileEnds(u64),
    Zeros,
    NoChecksumFits,
}

impl Why {
    fn of(survey: &Survey, gap: &Gap, piece: &[u8]) -> Self {
        let touches = |bad: &std::ops::Range<u64>| {
            bad.start < gap.bytes.end.max(gap.bytes.start + 1) && gap.bytes.start < bad.end
        };
        if survey.unreadable.iter().any(touches) {
            Self::Unreadable
        } else if piece.is_empty() {
            Self::FileEnds(survey.bytes.len() as u64)
        } else if piece.iter().all(|byte| *byte == 0) {
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

/// Keeps the bytes of what is missing. It is a help for the curious, not part of any promise: a
/// failure is logged and nothing else.
pub(super) fn keep(
    disk: &dyn Disk,
    stream_dir: &Path,
    stream_bytes_max: u64,
    survey: &Survey,
    damaged: &[Gap],
    torn: Option<&Gap>,
) {
    if damaged.is_empty() && torn.is_none() {
        return;
    }
    let bytes_max = BYTES_MAX.min(stream_bytes_max / SHARE_OF_LIMIT);
    let dir = stream_dir.join(FOLDER);
    let stream = stream_dir.file_name().unwrap_or_default().to_string_lossy();
    let damage = damaged.iter().zip(named(&stream, survey.name, damaged)).map(|(gap, damage)| {
        let why = Why::of(survey, gap, piece(survey, gap));
        (gap, format!("{damage}: {why}\n"))
    });
    let torn = torn.map(|gap| (gap, format!("{}\n", Torn::of(&stream, survey.name, gap))));
    for (gap, why) in damage.chain(torn) {
        let (stem, piece) = (stem(survey.name, gap), piece(survey, gap));
        if let Err(error) = keep_one(disk, &dir, bytes_max, &stem, piece, &why) {
            tracing::warn!("damaged bytes could not be kept in {}: {error}", dir.display());
            return;
        }
    }
}

fn piece<'a>(survey: &'a Survey, gap: &Gap) -> &'a [u8] {
    let end = gap.bytes.end.min(gap.bytes.start + PIECE_BYTES_MAX).min(survey.bytes.len() as u64);
    survey.bytes.get(gap.bytes.start as usize..end as usize).unwrap_or_default()
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

fn stem(segment: SegmentName, gap: &Gap) -> String {
    let name = segment.file_name();
    let name = name.trim_end_matches(".seg");
    format!("{name}-{:08}-{:020}", gap.bytes.start, gap.sequences.start)
}
