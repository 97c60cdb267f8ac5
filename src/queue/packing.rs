//! Compression of frame bodies: the plain length (u32), then the compressed bytes.

use serde::Deserialize;

use super::frame::{FRAME_BODY_BYTES, RECORD_BYTES_MAX};

/// No body is longer before it is compressed.
const PLAIN_BYTES_MAX: usize = FRAME_BODY_BYTES + RECORD_BYTES_MAX;
/// Higher levels gain little on telemetry and cost a small processor much (decision 0009).
const ZSTD_LEVEL: i32 = 1;
/// Shorter bodies are left as they are.
const WORTH_PACKING_BYTES: usize = 128;
const LENGTH_BYTES: usize = 4;

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Little work, some gain.
    Lz4,
    /// More work, more gain.
    Zstd,
}

impl Compression {
    /// The number in a frame's flags.
    pub(super) fn number(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
        }
    }

    pub(super) fn of_number(number: u16) -> Option<Self> {
        [Self::None, Self::Lz4, Self::Zstd].into_iter().find(|one| one.number() == number)
    }

    /// Unpacks a body; `None` where it is none of this kind.
    pub(super) fn unpack(self, packed: &[u8]) -> Option<Vec<u8>> {
        let (length, compressed) = packed.split_first_chunk::<LENGTH_BYTES>()?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > PLAIN_BYTES_MAX {
            return None;
        }
        let plain = match self {
            Self::None => return None,
            Self::Lz4 => lz4_flex::block::decompress(compressed, length).ok()?,
            Self::Zstd => zstd::bulk::decompress(compressed, length).ok()?,
        };
        (plain.len() == length).then_some(plain)
    }
}

/// Compresses bodies one after the other.
pub(super) struct Packer {
    with: With,
    packed: Vec<u8>,
}

enum With {
    Nothing,
    Lz4,
    Zstd(zstd::bulk::Compressor<'static>),
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Self {
        let with = match compression {
            Compression::None => With::Nothing,
            Compression::Lz4 => With::Lz4,
            // It fails only for want of memory; uncompressed is what is left then.
            Compression::Zstd => {
                zstd::bulk::Compressor::new(ZSTD_LEVEL).map_or(With::Nothing, With::Zstd)
            }
        };
        Self { with, packed: Vec::new() }
    }

    /// How and what a body was packed to; `None` where that does not make it shorter.
    pub(super) fn pack(&mut self, plain: &[u8]) -> Option<(Compression, &[u8])> {
        if plain.len() < WORTH_PACKING_BYTES {
            return None;
        }
        let bound = match self.with {
            With::Nothing => return None,
            With::Lz4 => lz4_flex::block::get_maximum_output_size(plain.len()),
            With::Zstd(_) => zstd::zstd_safe::compress_bound(plain.len()),
        };
        self.packed.resize(LENGTH_BYTES + bound, 0);
        let (length, room) = self.packed.split_at_mut(LENGTH_BYTES);
        length.copy_from_slice(&(plain.len() as u32).to_le_bytes());
        let (how, bytes) = match &mut self.with {
            With::Nothing => return None,
            With::Lz4 => (Compression::Lz4, lz4_flex::block::compress_into(plain, room).ok()?),
            With::Zstd(zstd) => (Compression::Zstd, zstd.compress_to_buffer(plain, room).ok()?),
        };
        let packed = self.packed.get(..LENGTH_BYTES + bytes)?;
        (packed.len() < plain.len()).then_some((how, packed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        let plain = br#"{"temperature":21.5,"humidity":40}"#.repeat(50);
        for compression in [Compression::Lz4, Compression::Zstd] {
            let mut packer = Packer::new(compression);
            for _ in 0..2 {
                let (how, packed) = packer.pack(&plain).unwrap();
                assert_eq!(how, compression);
                assert!(packed.len() < plain.len() / 5);
                assert_eq!(how.unpack(packed).unwrap(), plain);
            }
        }
    }

    #[test]
    fn what_does_not_get_shorter_stays_as_it_is() {
        let mut noise = vec![0; 5_000];
        getrandom::fill(&mut noise).unwrap();
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            assert_eq!(Packer::new(compression).pack(&noise), None);
            assert_eq!(Packer::new(compression).pack(b"short"), None);
        }
    }

    #[test]
    fn arbitrary_bytes_are_unpacked_to_nothing_and_never_panic() {
        let mut bytes = [0; 40];
        for seed in 0..2_000u32 {
            getrandom::fill(&mut bytes).unwrap();
            bytes[..4].copy_from_slice(&(seed * 9_001).to_le_bytes());
            for compression in [Compression::Lz4, Compression::Zstd] {
                let plain = compression.unpack(&bytes).map_or(0, |plain| plain.len());
                assert!(plain <= PLAIN_BYTES_MAX);
            }
        }
        assert_eq!(Compression::Lz4.unpack(&[0xff; 8]), None);
    }
}
