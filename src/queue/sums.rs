//! The checksum of any part of a segment, at the price of two blocks.
//!
//! A search for records asks for one wherever a length and a sequence are plausible, and a payload
//! can be chosen so that they are nearly everywhere, each with a length of megabytes. So a
//! checksum is not computed over its bytes but from those of everything before its two ends:
//! CRCs are remainders of polynomials, and what came before can be taken out again.

#[cfg(test)]
use std::cell::Cell;
use std::{cell::OnceCell, ops::Range};

use super::frame::Salt;

/// The checksum of everything before it is kept for each block of this length.
const BLOCK_BYTES: usize = 64;
/// A search checksums at most so many bytes for each of the segment's: all of them once for the
/// blocks, and less than two blocks at each place where a record may begin, at worst every one.
#[cfg(test)]
pub(super) const SEARCH_WORK_MAX: usize = 1 + 2 * BLOCK_BYTES;
/// The polynomial of CRC32C, its lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// What 1 is written as, then.
const ONE: u32 = 1 << 31;
/// The powers x^8, x^16, x^32 and so on, by which a checksum is moved over 1, 2, 4 bytes and on.
const POWERS: [u32; usize::BITS as usize] = powers();

/// The checksums of one segment's bytes.
pub(super) struct Sums<'a> {
    bytes: &'a [u8],
    salt: Salt,
    /// Of everything before each block; made when it is needed first.
    before: OnceCell<Vec<u32>>,
    #[cfg(test)]
    pub(super) checksummed: Cell<usize>,
}

impl<'a> Sums<'a> {
    pub(super) fn new(bytes: &'a [u8], salt: Salt) -> Self {
        Self {
            bytes,
            salt,
            before: OnceCell::new(),
            #[cfg(test)]
            checksummed: Cell::new(0),
        }
    }

    /// The salted checksum of a part of the bytes.
    pub(super) fn of(&self, part: Range<usize>) -> u32 {
        let length = part.end - part.start;
        // Moved over the part, the checksum of what came before it is what it lent to that of
        // the whole; the salt lends its own instead.
        let lent = self.up_to(part.start) ^ self.salt.value();
        self.up_to(part.end) ^ multiply(lent, power_of(length))
    }

    /// The checksum of everything before a place.
    fn up_to(&self, place: usize) -> u32 {
        let before = self.before.get_or_init(|| self.blocks());
        let block = place / BLOCK_BYTES;
        let rest = &self.bytes[block * BLOCK_BYTES..place];
        #[cfg(test)]
        self.checksummed.update(|bytes| bytes + rest.len());
        crc32c::crc32c_append(before[block], rest)
    }

    fn blocks(&self) -> Vec<u32> {
        #[cfg(test)]
        self.checksummed.update(|bytes| bytes + self.bytes.len());
        let blocks = self.bytes.chunks(BLOCK_BYTES);
        let sums = blocks.scan(0, |sum, block| {
            *sum = crc32c::crc32c_append(*sum, block);
            Some(*sum)
        });
        std::iter::once(0).chain(sums).collect()
    }
}

/// x to the power of 8 times this.
fn power_of(bytes: usize) -> u32 {
    let bits = (0..usize::BITS as usize).filter(|bit| bytes >> bit & 1 == 1);
    bits.fold(ONE, |power, bit| multiply(power, POWERS[bit]))
}

/// The product of two polynomials, modulo the one of the checksum.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut bit) = (0, ONE);
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        let carry = if b & 1 == 1 { POLYNOMIAL } else { 0 };
        b = b >> 1 ^ carry;
        bit >>= 1;
    }
    product
}

const fn powers() -> [u32; usize::BITS as usize] {
    let mut powers = [ONE >> 8; usize::BITS as usize];
    let mut number = 1;
    while number < powers.len() {
        powers[number] = multiply(powers[number - 1], powers[number - 1]);
        number += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_part_has_the_checksum_of_its_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..1000),
            id in any::<u64>(),
            ends in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let ends = (ends.0.index(bytes.len() + 1), ends.1.index(bytes.len() + 1));
            let part = ends.0.min(ends.1)..ends.0.max(ends.1);
            let sums = Sums::new(&bytes, Salt::of(id));
            let expected = crc32c::crc32c_append(Salt::of(id).value(), &bytes[part.clone()]);
            prop_assert_eq!(sums.of(part), expected);
        }
    }

    #[test]
    fn long_parts_are_moved_over_too() {
        let bytes: Vec<u8> = (0..300_000u32).map(|number| (number >> 3) as u8).collect();
        let sums = Sums::new(&bytes, Salt::of(7));
        for part in [0..300_000, 1..299_999, 65_535..262_145] {
            let expected = crc32c::crc32c_append(Salt::of(7).value(), &bytes[part.clone()]);
            assert_eq!(sums.of(part), expected);
        }
    }
}
