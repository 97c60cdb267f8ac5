//! What happens to the body of a frame on its way to the disk and back: compressed, then
//! encrypted, each only where that is chosen.

use std::io;

use thiserror::Error;

use super::{
    frame::{FRAME_BODY_BYTES, FrameHeader, RecordView},
    keys::{KeyTag, Keys},
    packing::{Compression, Packer},
    sealing::{Cipher, SEAL_BYTES, Seal},
    segment::SegmentName,
};

/// A body that is compressed or encrypted is closed at this length: one wrong byte costs all of
/// it.
pub(super) const ENCODED_BODY_BYTES: usize = 16 * 1024;

/// How a body was encoded; what a frame's header says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    compression: Compression,
    seal: Option<(Cipher, KeyTag)>,
}

impl Encoding {
    pub(super) const PLAIN: Self = Self { compression: Compression::None, seal: None };

    /// The two fields of a frame's header.
    pub(super) fn fields(self) -> (u16, u16) {
        let (cipher, tag) = self.seal.map_or((0, 0), |(cipher, tag)| (cipher as u16, tag.0));
        (self.compression.number() | cipher << 4, tag)
    }

    /// The key that is needed to decode it, if one is.
    pub(super) fn key(self) -> Option<KeyTag> {
        self.seal.map(|(_, tag)| tag)
    }

    /// What the fields say; `None` where this version does not know it.
    pub(super) fn of_fields(flags: u16, tag: u16) -> Option<Self> {
        let compression = Compression::of_number(flags & 0xf)?;
        let cipher = Cipher::ALL.into_iter().find(|cipher| *cipher as u16 == flags >> 4);
        let seal = cipher.map(|cipher| (cipher, KeyTag(tag)));
        (cipher.is_some() || (flags >> 4 == 0 && tag == 0)).then_some(Self { compression, seal })
    }
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It was encrypted with a key that is not known.
    KeyMissing(KeyTag),
    /// It cannot be opened with the key of its tag. Its checksum fits, so what lies there is what
    /// was written: it is another key that has the same tag, unless some other body of the
    /// segment can be opened with it.
    KeyUnfit(KeyTag),
    /// It is not what was written.
    Damaged,
}

/// A segment is encrypted with a key that is not known.
#[derive(Debug, Error)]
#[error(
    "{file} is encrypted with a key of tag {tag}, which is not among the keys given (if one has \
     that tag, it is another key); add it to the key file"
)]
pub(super) struct KeyMissing {
    file: String,
    tag: KeyTag,
}

impl KeyMissing {
    pub(super) fn error(name: SegmentName, tag: KeyTag) -> io::Error {
        let file = name.file_name();
        io::Error::new(io::ErrorKind::Unsupported, Self { file, tag })
    }

    /// Whether an error is of this kind.
    pub(super) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// Encodes the bodies of one segment.
#[derive(Debug)]
pub(super) struct BodyWriter {
    packer: Packer,
    seal: Option<Seal>,
    encodes: bool,
}

impl BodyWriter {
    pub(super) fn new(keys: &Keys, compression: Compression, name: SegmentName) -> Self {
        let cipher = Cipher::of_this_machine();
        let seal = keys.current().and_then(|tag| Seal::new(keys, tag, name, cipher));
        let encodes = seal.is_some() || compression != Compression::None;
        Self { packer: Packer::new(compression), seal, encodes }
    }

    /// Whether bodies may be anything but plain.
    pub(super) fn encodes(&self) -> bool {
        self.encodes
    }

    /// A body is closed when it has reached this length.
    pub(super) fn body_bytes(&self) -> usize {
        if self.encodes { ENCODED_BODY_BYTES } else { FRAME_BODY_BYTES }
    }

    /// Encodes the body at `buffer[start..]` in its place, and says how. `first` and `records`
    /// are what the header will say.
    pub(super) fn encode(
        &mut self,
        buffer: &mut Vec<u8>,
        start: usize,
        first: u64,
        records: u32,
    ) -> io::Result<Encoding> {
        let mut encoding = Encoding::PLAIN;
        if let Some((compression, packed)) = self.packer.pack(&buffer[start..]) {
            encoding.compression = compression;
            buffer.truncate(start);
            buffer.extend_from_slice(packed);
        }
        if let Some(seal) = &self.seal {
            encoding.seal = Some((seal.cipher, seal.tag));
            seal.seal(&said(encoding, first, records), buffer, start)?;
        }
        Ok(encoding)
    }
}

/// The most that a body can grow by being encoded.
pub(super) const ENCODING_BYTES_MAX: usize = SEAL_BYTES;

/// What of a frame's header is authenticated with its body.
fn said(encoding: Encoding, first: u64, records: u32) -> [u8; 16] {
    let (flags, tag) = encoding.fields();
    let mut said = [0; 16];
    said[..2].copy_from_slice(&flags.to_le_bytes());
    said[2..4].copy_from_slice(&tag.to_le_bytes());
    said[4..8].copy_from_slice(&records.to_le_bytes());
    said[8..].copy_from_slice(&first.to_le_bytes());
    said
}

/// Decodes the bodies of one segment.
#[derive(Debug)]
pub(super) struct BodyReader(Vec<Seal>);

impl BodyReader {
    pub(super) fn new(keys: &Keys, name: SegmentName) -> Self {
        let seals = keys.tags().flat_map(|tag| {
            Cipher::ALL.into_iter().filter_map(move |cipher| Seal::new(keys, tag, name, cipher))
        });
        Self(seals.collect())
    }

    /// The records of a frame whose header and checksum are intact and that is not plain.
    pub(super) fn decode(&self, header: &FrameHeader, stored: &[u8]) -> Result<Vec<u8>, BodyError> {
        let Encoding { compression, seal } = header.encoding;
        let opened = match seal {
            None => None,
            Some((cipher, tag)) => {
                let known = self.0.iter().find(|seal| seal.cipher == cipher && seal.tag == tag);
                let said = said(header.encoding, header.first_sequence, header.records);
                let opened = known.ok_or(BodyError::KeyMissing(tag))?.open(&said, stored);
                Some(opened.ok_or(BodyError::KeyUnfit(tag))?)
            }
        };
        let body = match (compression, opened) {
            (Compression::None, Some(opened)) => opened,
            (Compression::None, None) => return Err(BodyError::Damaged),
            (packed, opened) => {
                let opened = opened.as_deref().unwrap_or(stored);
                packed.unpack(opened).ok_or(BodyError::Damaged)?
            }
        };
        if holds(&body, header) { Ok(body) } else { Err(BodyError::Damaged) }
    }
}

/// Whether a body consists of just the records that its header announces.
fn holds(mut body: &[u8], header: &FrameHeader) -> bool {
    for sequence in header.first_sequence..header.end_sequence() {
        match RecordView::decode(body) {
            Some(view) if view.sequence == sequence => body = &body[view.bytes..],
            _ => return false,
        }
    }
    body.is_empty()
}
