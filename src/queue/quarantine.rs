//! The bytes that were cut out, kept for whoever wants to look into them.
//!
//! `quarantine/<segment>-<first byte>-<first sequence>.bad` holds the bytes as they were found. The folder is
//! bounded: the oldest make room.

use std::{io, path::Path};

use super::{disk::Disk, scan::Gap, segment::SegmentName, survey::Survey};

/// The folder's name within the stream's.
pub(super) const FOLDER: &str = "quarantine";
/// The most that is kept of a stream, unless its own limit is small.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The folder takes at most this part of the stream's limit.
const SHARE_OF_LIMIT: u64 = 16;
/// The most that is kept of one gap.
const PIECE_BYTES_MAX: u64 = 1024 * 1024;
/// The most files, so that many small pieces stay bounded too.
const FILES_MAX: usize = 1000;

/// Keeps the bytes of `gaps`. It is a help for the curious, not part of any promise: a failure
/// is logged and nothing else.
pub(super) fn keep(
    disk: &dyn Disk,
    stream_dir: &Path,
    stream_bytes_max: u64,
    survey: &Survey,
    gaps: &[Gap],
) {
    if gaps.is_empty() {
        return;
    }
    let bytes_max = BYTES_MAX.min(stream_bytes_max / SHARE_OF_LIMIT);
    let dir = stream_dir.join(FOLDER);
    for gap in gaps {
        if let Err(error) = keep_one(disk, &dir, bytes_max, survey, gap) {
            tracing::warn!("damaged bytes could not be kept in {}: {error}", dir.display());
            return;
        }
    }
}

fn keep_one(
    disk: &dyn Disk,
    dir: &Path,
    bytes_max: u64,
    survey: &Survey,
    gap: &Gap,
) -> io::Result<()> {
    let end = gap.bytes.end.min(gap.bytes.start + PIECE_BYTES_MAX).min(survey.bytes.len() as u64);
    let piece = survey.bytes.get(gap.bytes.start as usize..end as usize).unwrap_or_default();
    // Zeros tell nothing that the log does not.
    if piece.iter().all(|byte| *byte == 0) || piece.len() as u64 > bytes_max {
        return Ok(());
    }
    disk.create_dir(dir)?;
    let name = file_name(survey.name, gap);
    let mut entries = disk.list(dir)?;
    if entries.iter().any(|entry| entry.name == name) {
        return Ok(());
    }
    // Names begin with the segment's base, so that their order is that of the records.
    entries.sort_by(|a, b| b.name.cmp(&a.name));
    let mut kept: u64 = entries.iter().map(|entry| entry.bytes).sum();
    while kept + piece.len() as u64 > bytes_max || entries.len() >= FILES_MAX {
        let Some(oldest) = entries.pop() else { break };
        disk.remove(&dir.join(&oldest.name))?;
        kept -= oldest.bytes;
    }
    let file = disk.create(&dir.join(&name))?;
    file.write_at(piece, 0)?;
    file.sync()?;
    disk.sync_dir(dir)
}

fn file_name(segment: SegmentName, gap: &Gap) -> String {
    let stem = segment.file_name();
    let stem = stem.trim_end_matches(".seg");
    format!("{stem}-{:08}-{:020}.bad", gap.bytes.start, gap.sequences.start)
}
