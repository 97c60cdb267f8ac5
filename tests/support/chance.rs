//! Random choices that can be made again: the seed is printed, and taken from
//! `HOLDFAST_TEST_SEED` where that is given.

use std::ops::Range;

/// A source of choices (SplitMix64).
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// A source with a new seed, or the one that is asked for.
    pub fn new() -> Self {
        let asked = std::env::var("HOLDFAST_TEST_SEED").ok();
        let seed = asked.map_or_else(
            || getrandom::u64().expect("entropy"),
            |seed| seed.parse().expect("HOLDFAST_TEST_SEED is a whole number"),
        );
        println!("HOLDFAST_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number in the range.
    pub fn pick(&mut self, range: Range<u64>) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        range.start + (mixed ^ (mixed >> 31)) % (range.end - range.start)
    }

    /// So many numbers of the range, in ascending order.
    pub fn pick_sorted(&mut self, count: usize, range: &Range<u64>) -> Vec<u64> {
        let mut picked: Vec<u64> = (0..count).map(|_| self.pick(range.clone())).collect();
        picked.sort_unstable();
        picked
    }
}
