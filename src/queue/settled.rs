//! Which records are settled: all before the floor, and ranges above it.

use std::{collections::BTreeMap, ops::Range};

use super::codec::{Take, put_varint};

/// The most ranges above the floor. An acknowledgement that would need one more is not taken,
/// and its record is sent again.
pub(super) const RANGES_MAX: usize = 16 * 1024;

/// A set of sequences that grows from the bottom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settled {
    floor: u64,
    /// Start to end of each range above the floor; they neither touch nor overlap.
    ranges: BTreeMap<u64, u64>,
}

impl Settled {
    pub(super) fn below(floor: u64) -> Self {
        Self { floor, ranges: BTreeMap::new() }
    }

    /// The first sequence that is not settled.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// Behind the last sequence that is settled.
    pub(super) fn end(&self) -> u64 {
        self.ranges.last_key_value().map_or(self.floor, |(_, end)| *end)
    }

    pub(super) fn contains(&self, sequence: u64) -> bool {
        sequence < self.floor
            || self.ranges.range(..=sequence).next_back().is_some_and(|(_, end)| sequence < *end)
    }

    /// The first sequence from `from` on that is not settled.
    pub(super) fn next_open(&self, from: u64) -> u64 {
        let from = from.max(self.floor);
        match self.ranges.range(..=from).next_back() {
            Some((_, end)) if from < *end => *end,
            _ => from,
        }
    }

    /// The parts of a range that are not settled, in order.
    pub(super) fn open_parts(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut parts = Vec::new();
        let mut at = self.next_open(range.start);
        while at < range.end {
            let end = self.ranges.range(at..).next().map_or(range.end, |(start, _)| *start);
            let end = end.min(range.end);
            parts.push(at..end);
            at = self.next_open(end);
        }
        parts
    }

    /// How many of a range are not settled.
    pub(super) fn open_count(&self, range: Range<u64>) -> u64 {
        self.open_parts(range).iter().map(|part| part.end - part.start).sum()
    }

    /// Whether [`Settled::insert`] would find room.
    pub(super) fn has_room(&self, sequence: u64) -> bool {
        sequence == self.floor
            || self.ranges.len() < RANGES_MAX
            || self.ranges.range(..=sequence).next_back().is_some_and(|(_, end)| *end == sequence)
    }

    /// Settles one sequence; false if it was already.
    pub(super) fn insert(&mut self, sequence: u64) -> bool {
        if self.contains(sequence) {
            return false;
        }
        self.insert_range(sequence..sequence + 1);
        true
    }

    /// Settles a range, parts of which may be settled.
    pub(super) fn insert_range(&mut self, range: Range<u64>) {
        let (mut start, mut end) = (range.start, range.end);
        if start >= end || end <= self.floor {
            return;
        }
        if let Some((before, before_end)) = self.ranges.range(..=start).next_back()
            && *before_end >= start
        {
            (start, end) = (*before, end.max(*before_end));
        }
        while let Some((next, next_end)) = self.ranges.range(start..=end).next() {
            end = end.max(*next_end);
            let next = *next;
            self.ranges.remove(&next);
        }
        if start <= self.floor {
            self.floor = end;
        } else {
            self.ranges.insert(start, end);
        }
    }

    /// Everything that is settled, in order.
    pub(super) fn settled_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let below = (self.floor > 0).then_some(0..self.floor);
        below.into_iter().chain(self.ranges.iter().map(|(start, end)| *start..*end))
    }

    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        put_varint(buffer, self.floor);
        put_varint(buffer, self.ranges.len() as u64);
        let mut at = self.floor;
        for (start, end) in &self.ranges {
            put_varint(buffer, start - at);
            put_varint(buffer, end - start);
            at = *end;
        }
    }

    /// Only what [`Settled::encode`] can have written: an empty range, or one that touches what
    /// is before it, would lead every walk over the ranges astray.
    pub(super) fn decode(take: &mut Take<'_>) -> Option<Self> {
        let mut decoded = Self::below(take.varint()?);
        let mut at = decoded.floor;
        for _ in 0..take.length()? {
            let (distance, length) = (take.varint()?, take.varint()?);
            if distance == 0 || length == 0 {
                return None;
            }
            let start = at.checked_add(distance)?;
            at = start.checked_add(length)?;
            decoded.ranges.insert(start, at);
        }
        Some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_settled(
            inserts in proptest::collection::vec((0u64..120, 1u64..12), 0..60),
        ) {
            let mut settled = Settled::default();
            let mut model = BTreeSet::new();
            for (start, length) in inserts {
                if length == 1 {
                    prop_assert_eq!(settled.insert(start), model.insert(start));
                } else {
                    settled.insert_range(start..start + length);
                    model.extend(start..start + length);
                }
            }
            for sequence in 0..140 {
                prop_assert_eq!(settled.contains(sequence), model.contains(&sequence));
                let next = (sequence..200).find(|candidate| !model.contains(candidate)).unwrap();
                prop_assert_eq!(settled.next_open(sequence), next);
            }
            prop_assert_eq!(settled.floor(), (0..200).find(|n| !model.contains(n)).unwrap());
            let open = (5..100).filter(|n| !model.contains(n)).count();
            prop_assert_eq!(settled.open_count(5..100) as usize, open);
            let mut bytes = Vec::new();
            settled.encode(&mut bytes);
            prop_assert_eq!(Settled::decode(&mut Take(&bytes)), Some(settled));
        }
    }

    #[test]
    fn ranges_that_are_empty_or_touch_are_not_believed() {
        for (distance, length, taken) in [(1, 1, true), (0, 1, false), (1, 0, false)] {
            let mut bytes = Vec::new();
            for number in [7, 2, 3, 4, distance, length] {
                put_varint(&mut bytes, number);
            }
            assert_eq!(Settled::decode(&mut Take(&bytes)).is_some(), taken, "{distance} {length}");
        }
    }

    #[test]
    fn holes_are_bounded() {
        let mut settled = Settled::default();
        for hole in 0..RANGES_MAX as u64 {
            assert!(settled.insert(hole * 2 + 1));
        }
        let next = RANGES_MAX as u64 * 2 + 1;
        assert!(!settled.has_room(next));
        assert!(settled.has_room(0));
    }
}
