//! Reading a whole segment, as far as it can be read.

use std::{collections::HashMap, io, path::Path};

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
/// A read that fails is tried this often.
const READ_TRIES: usize = 3;

/// A segment's bytes and what is intact in them.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) name: SegmentName,
    pub(super) bytes: Bytes,
    pub(super) header: Option<SegmentHeader>,
    pub(super) scan: Scan,
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
        let bytes = match segment::open(disk, dir, name) {
            Ok(file) => read(&*file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let header = match SegmentHeader::decode(&bytes, name) {
            Ok(header) => Some(header),
            Err(HeaderError::Newer(version)) => return Err(newer(version)),
            Err(HeaderError::Damaged) => None,
            Err(HeaderError::Io(error)) => return Err(error),
        };
        let start = header.as_ref().map_or(0, |header| header.data_start as usize);
        let bodies = BodyReader::new(keys, name);
        let scan = Scan::of(&bytes, start.min(bytes.len()), name, &bodies, limit);
        if let Some(tag) = scan.key_missing {
            return Err(KeyMissing::error(name, tag));
        }
        Ok(Self { name, bytes: bytes.into(), header, scan, bodies })
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

/// The error for a segment of a later version.
pub(super) fn newer(version: u16) -> io::Error {
    let text = format!("its format version {version} is later than this program knows");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

fn read(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.bytes()?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    if let Ok(read) = retried(file, &mut bytes, 0) {
        bytes.truncate(read);
        return Ok(bytes);
    }
    let (mut readable, mut last) = (0, None);
    for (number, block) in bytes.chunks_mut(BLOCK_BYTES).enumerate() {
        match retried(file, block, (number * BLOCK_BYTES) as u64) {
            Ok(_) => readable += 1,
            Err(error) => {
                block.fill(0);
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if readable == 0 => Err(error),
        _ => Ok(bytes),
    }
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
