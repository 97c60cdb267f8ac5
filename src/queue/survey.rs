//! Reading a whole segment, as far as it can be read.

use std::{collections::HashMap, io, ops::Range, path::Path};

use bytes::Bytes;

use super::{
    Stamp,
    bodies::{BodyReader, KeyMissing},
    disk::{Disk, DiskFile},
    frame::{FRAME_HEADER_BYTES, FrameHeader, RecordView},
    keys::Keys,
    scan::{Found, Scan},
    segment::{self, HeaderError, SegmentHeader, SegmentName},
};

/// An unreadable range is narrowed down to blocks of this size.
const BLOCK_BYTES: usize = 4096;
/// No segment is longer: a header, and as much as the longest record takes or a whole segment's
/// worth of frames. A file that claims more is damaged, and must not cost the memory it claims.
const SEGMENT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// A read that fails is tried this often.
const READ_TRIES: usize = 3;

/// A segment's bytes and what is intact in them.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) name: SegmentName,
    pub(super) bytes: Bytes,
    pub(super) header: Option<SegmentHeader>,
    pub(super) scan: Scan,
    /// What the disk could not read, and counts as zeros.
    pub(super) unreadable: Vec<Range<u64>>,
    bodies: BodyReader,
}

/// The body that was decoded last: neighbours share it.
#[derive(Debug, Default)]
pub(super) struct Decoded(Option<(u32, Bytes)>);

impl Survey {
    /// Reads the segment and finds its records below `limit`. Blocks that cannot be read count
    /// as zeros; if none can, the file is of a later version or its key is not known, that is an
    /// error and says nothing about the records.
    pub(super) fn of(
        disk: &dyn Disk,
        keys: &Keys,
        dir: &Path,
        name: SegmentName,
        limit: u64,
    ) -> io::Result<Self> {
        let (bytes, unreadable) = match segment::open(disk, dir, name) {
            Ok(file) => read(&*file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
            Err(error) => return Err(error),
        };
        let header = match SegmentHeader::decode(&bytes, name) {
            Ok(header) => Some(header),
            Err(HeaderError::Newer(version)) => return Err(newer(&name.file_name(), version)),
            Err(HeaderError::Damaged) => None,
            Err(HeaderError::Io(error)) => return Err(error),
        };
        let start = header.as_ref().map_or(0, |header| header.data_start as usize);
        let bodies = BodyReader::new(keys, name);
        let scan = Scan::of(&bytes, start.min(bytes.len()), name, &bodies, limit);
        if let Some(tag) = scan.key_missing {
            return Err(KeyMissing::error(name, tag));
        }
        Ok(Self { name, bytes: bytes.into(), header, scan, unreadable, bodies })
    }

    /// The bytes of a record.
    pub(super) fn record(&self, found: &Found, decoded: &mut Decoded) -> Option<Bytes> {
        let Some((at, bytes)) = found.inside else {
            return Some(self.bytes.slice(found.range()));
        };
        let body = match &decoded.0 {
            Some((of, body)) if *of == found.at => body,
            _ => {
                let frame = &self.bytes[found.range()];
                let header = FrameHeader::decode(frame, self.name.salt())?;
                let body = self.bodies.decode(&header, &frame[FRAME_HEADER_BYTES..]).ok()?;
                &decoded.0.insert((found.at, body.into())).1
            }
        };
        Some(body.slice(at as usize..(at + bytes) as usize))
    }

    /// When a record was taken in.
    pub(super) fn stamp(&self, found: &Found) -> Option<Stamp> {
        let bytes = self.record(found, &mut Decoded::default())?;
        RecordView::decode(&bytes).map(|view| view.stamp)
    }

    /// Counts the records that `wanted` by source.
    pub(super) fn by_source(&self, wanted: impl Fn(u64) -> bool) -> HashMap<String, u64> {
        let mut counts = HashMap::new();
        let mut decoded = Decoded::default();
        for found in self.scan.records.iter().filter(|found| wanted(found.sequence)) {
            let Some(bytes) = self.record(found, &mut decoded) else { continue };
            let Some(view) = RecordView::decode(&bytes) else { continue };
            match counts.get_mut(view.source) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(view.source.to_owned(), 1);
                }
            }
        }
        counts
    }
}

/// The error for a file of a later version.
pub(super) fn newer(file_name: &str, version: u16) -> io::Error {
    let text =
        format!("the format version {version} of {file_name} is later than this program knows");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

fn read(file: &dyn DiskFile) -> io::Result<(Vec<u8>, Vec<Range<u64>>)> {
    let whole = 0..file.bytes()?.min(SEGMENT_BYTES_MAX);
    let (bytes, unreadable, error) = read_blocks(file, whole.clone());
    let lost: u64 = unreadable.iter().map(|bad| bad.end - bad.start).sum();
    match error {
        Some(error) if lost == whole.end => Err(error),
        _ => Ok((bytes, unreadable)),
    }
}

/// A part of a segment as it is on the disk now; blocks that cannot be read count as zeros.
pub(super) fn read_again(
    disk: &dyn Disk,
    dir: &Path,
    name: SegmentName,
    part: Range<u64>,
) -> io::Result<Bytes> {
    let file = segment::open(disk, dir, name)?;
    let start = part.start - part.start % BLOCK_BYTES as u64;
    let (bytes, _, _) = read_blocks(&*file, start..part.end);
    let skipped = ((part.start - start) as usize).min(bytes.len());
    Ok(Bytes::from(bytes).slice(skipped..))
}

/// The bytes of a part of a file, as far as it goes; what of them could not be read, and why.
fn read_blocks(
    file: &dyn DiskFile,
    part: Range<u64>,
) -> (Vec<u8>, Vec<Range<u64>>, Option<io::Error>) {
    let mut bytes = vec![0; usize::try_from(part.end - part.start).unwrap_or(usize::MAX)];
    if let Ok(read) = retried(file, &mut bytes, part.start) {
        bytes.truncate(read);
        return (bytes, Vec::new(), None);
    }
    let (mut unreadable, mut last) = (Vec::new(), None);
    for (number, block) in bytes.chunks_mut(BLOCK_BYTES).enumerate() {
        let at = part.start + (number * BLOCK_BYTES) as u64;
        if let Err(error) = retried(file, block, at) {
            block.fill(0);
            unreadable.push(at..at + block.len() as u64);
            last = Some(error);
        }
    }
    (bytes, unreadable, last)
}

fn retried(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut tries = 1;
    loop {
        match file.read_at(buffer, offset) {
            Err(_) if tries < READ_TRIES => tries += 1,
            done => return done,
        }
    }
}
