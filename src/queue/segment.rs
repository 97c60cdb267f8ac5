//! Segment files: their names, their header, and how one comes to be.

use std::{io, path::Path};

use super::{
    Stamp,
    accounts::Accounts,
    codec::{Take, put_bytes, put_signed, put_varint},
    disk::{Access, Disk, DiskFile},
    frame::Salt,
    record::SEQUENCE_END,
};

const MAGIC: [u8; 8] = *b"HOLDFSEG";
/// The version of a segment whose frames may be compressed or encrypted; the latest that this
/// program knows.
pub(super) const FORMAT_VERSION: u16 = 2;
/// The version of a segment whose frames are all plain, which earlier programs can read too.
pub(super) const FORMAT_VERSION_PLAIN: u16 = 1;
/// Frames begin at a multiple of this.
const HEADER_ALIGNMENT: usize = 64;
/// The fixed front of a header: magic, version, flags, length, checksum, id, base.
const HEADER_FRONT_BYTES: usize = 8 + 2 + 2 + 4 + 4 + 8 + 8;
/// No header is longer.
const HEADER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Generations stay below this, which one a second reaches after sixty years; a name that claims
/// more is damaged.
pub(super) const GENERATION_END: u32 = 1 << 31;

/// A segment's place in its stream, told by its file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SegmentName {
    /// The first sequence it may hold.
    pub(super) base: u64,
    /// Unique for every incarnation; rises with every segment made (generation in the upper
    /// half, chance in the lower).
    pub(super) id: u64,
}

impl SegmentName {
    pub(super) fn file_name(self) -> String {
        format!("{:020}-{:016x}.seg", self.base, self.id)
    }

    pub(super) fn parse(file_name: &str) -> Option<Self> {
        let (base, id) = file_name.strip_suffix(".seg")?.split_once('-')?;
        if base.len() != 20 || id.len() != 16 {
            return None;
        }
        let name = Self { base: base.parse().ok()?, id: u64::from_str_radix(id, 16).ok()? };
        (name.base < SEQUENCE_END && name.generation() < GENERATION_END).then_some(name)
    }

    pub(super) fn salt(self) -> Salt {
        Salt::of(self.id)
    }

    pub(super) fn generation(self) -> u32 {
        (self.id >> 32) as u32
    }
}

/// What stands at the front of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) name: SegmentName,
    /// When the segment was begun: everything before its base was taken in earlier.
    pub(super) begun: Stamp,
    /// The accounts at its base.
    pub(super) accounts: Accounts,
    /// Where the frames begin.
    pub(super) data_start: u64,
}

/// Why a header could not be read.
#[derive(Debug)]
pub(super) enum HeaderError {
    /// It is damaged or absent.
    Damaged,
    /// It is intact and of a later version than this program knows.
    Newer(u16),
    /// The file could not be read.
    Io(io::Error),
}

impl SegmentHeader {
    pub(super) fn encode(
        version: u16,
        stream: &str,
        name: SegmentName,
        begun: &Stamp,
        accounts: &Accounts,
    ) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_FRONT_BYTES];
        put_bytes(&mut bytes, stream.as_bytes());
        put_varint(&mut bytes, begun.boot);
        put_varint(&mut bytes, begun.monotonic_millis);
        put_signed(&mut bytes, begun.wall_millis);
        bytes.push(u8::from(begun.wall_trusted));
        accounts.encode(&mut bytes);
        bytes.resize(bytes.len().next_multiple_of(HEADER_ALIGNMENT), 0);
        let length = bytes.len() as u32;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&version.to_le_bytes());
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        bytes[20..28].copy_from_slice(&name.id.to_le_bytes());
        bytes[28..36].copy_from_slice(&name.base.to_le_bytes());
        let checksum = header_checksum(&bytes);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes and checks the header at the front of `bytes`.
    pub(super) fn decode(bytes: &[u8], name: SegmentName) -> Result<Self, HeaderError> {
        let length = header_length(bytes).ok_or(HeaderError::Damaged)?;
        let bytes = bytes.get(..length).ok_or(HeaderError::Damaged)?;
        let mut take = Take(&bytes[8..]);
        let version = take.u16().ok_or(HeaderError::Damaged)?;
        let written = take.bytes(6).and_then(|_| take.u32());
        if written != Some(header_checksum(bytes)) {
            return Err(HeaderError::Damaged);
        }
        if version > FORMAT_VERSION {
            return Err(HeaderError::Newer(version));
        }
        Self::decode_fields(take, name, length as u64).ok_or(HeaderError::Damaged)
    }

    fn decode_fields(mut take: Take<'_>, name: SegmentName, data_start: u64) -> Option<Self> {
        let (id, base) = (take.u64()?, take.u64()?);
        if (SegmentName { base, id }) != name {
            return None;
        }
        take.text()?;
        let begun = Stamp {
            boot: take.varint()?,
            monotonic_millis: take.varint()?,
            wall_millis: take.signed()?,
            wall_trusted: take.u8()? != 0,
        };
        Some(Self { name, begun, accounts: Accounts::decode(&mut take)?, data_start })
    }

    /// The name that the header of a file states, whether it is intact or not.
    pub(super) fn stated_name(file: &dyn DiskFile) -> Option<SegmentName> {
        let mut front = [0; HEADER_FRONT_BYTES];
        let read = file.read_at(&mut front, 0).ok()?;
        let mut take = Take(front.get(20..read)?);
        let (id, base) = (take.u64()?, take.u64()?);
        Some(SegmentName { base, id })
    }

    /// Reads only the header of a file.
    pub(super) fn read(file: &dyn DiskFile, name: SegmentName) -> Result<Self, HeaderError> {
        let mut bytes = vec![0; 4096];
        let read = file.read_at(&mut bytes, 0).map_err(HeaderError::Io)?;
        bytes.truncate(read);
        let length = header_length(&bytes).ok_or(HeaderError::Damaged)?;
        if length > bytes.len() {
            bytes.resize(length, 0);
            file.read_at(&mut bytes, 0).map_err(HeaderError::Io)?;
        }
        Self::decode(&bytes, name)
    }
}

/// The format version that the front of a segment claims, if it looks like one at all.
pub(super) fn version(bytes: &[u8]) -> Option<u16> {
    let mut take = Take(bytes);
    (take.array()? == MAGIC).then(|| take.u16()).flatten()
}

/// The length a header claims for itself, if it looks like one at all.
fn header_length(bytes: &[u8]) -> Option<usize> {
    let mut take = Take(bytes);
    if take.array()? != MAGIC {
        return None;
    }
    take.u32()?;
    let length = take.u32()? as usize;
    (HEADER_FRONT_BYTES..=HEADER_BYTES_MAX).contains(&length).then_some(length)
}

fn header_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..])
}

/// Opens a segment of the stream in `dir` for reading.
pub(super) fn open(
    disk: &dyn Disk,
    dir: &Path,
    name: SegmentName,
) -> io::Result<std::sync::Arc<dyn DiskFile>> {
    let file_name = name.file_name();
    disk.open(&dir.join(&file_name), Access::Read).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            io::Error::new(error.kind(), format!("{file_name}: {error}"))
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> (SegmentName, Vec<u8>) {
        let name = SegmentName { base: 17, id: 0x0001_0002_0000_0003 };
        let begun = Stamp { boot: 1, monotonic_millis: 2, wall_millis: -3, wall_trusted: true };
        let mut accounts = Accounts::default();
        let id = accounts.id("sensor");
        accounts.accept(id, 17);
        (name, SegmentHeader::encode(FORMAT_VERSION, "telemetry", name, &begun, &accounts))
    }

    #[test]
    fn names_tell_base_and_id() {
        let name = SegmentName { base: 42, id: 0xabc };
        assert_eq!(name.file_name(), "00000000000000000042-0000000000000abc.seg");
        assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
        assert_eq!(SegmentName::parse("42-abc.seg"), None);
        assert_eq!(SegmentName::parse("cursor.0"), None);
        for (base, id) in [(SEQUENCE_END, 1), (0, u64::from(GENERATION_END) << 32)] {
            let beyond = SegmentName { base, id };
            assert_eq!(SegmentName::parse(&beyond.file_name()), None);
        }
    }

    #[test]
    fn a_header_says_what_it_was_given() {
        let (name, bytes) = header();
        let decoded = SegmentHeader::decode(&bytes, name).unwrap();
        assert_eq!(decoded.accounts.accepted(), 17);
        assert_eq!(decoded.begun.wall_millis, -3);
        assert_eq!(decoded.data_start as usize, bytes.len());
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let (name, good) = header();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bad, name).is_err(), "bit {bit} went unnoticed");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let (name, mut bytes) = header();
        bytes[8..10].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        let checksum = header_checksum(&bytes);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        assert!(matches!(SegmentHeader::decode(&bytes, name), Err(HeaderError::Newer(3))));
    }
}
