//! Whose the records are that were read and not yet settled.
//!
//! An acknowledgement names a sequence only; the ledger wants its source.

use std::collections::VecDeque;

use super::accounts::SourceId;

/// The most records remembered (two bytes each); beyond it the oldest are looked up on disk.
pub(super) const HANDED_OUT_MAX: usize = 1 << 20;

#[derive(Debug)]
struct Run {
    first: u64,
    sources: Vec<SourceId>,
}

impl Run {
    fn end(&self) -> u64 {
        self.first + self.sources.len() as u64
    }
}

/// Sources by sequence, in runs.
#[derive(Debug, Default)]
pub(super) struct HandedOut {
    runs: VecDeque<Run>,
    count: usize,
}

impl HandedOut {
    /// Remembers one record; cheapest when they come in order.
    pub(super) fn insert(&mut self, sequence: u64, source: SourceId) {
        match self.runs.back_mut() {
            Some(run) if run.end() == sequence && run.sources.len() < RUN_MAX => {
                run.sources.push(source);
            }
            Some(run) if sequence < run.end() => {
                let at = self.runs.partition_point(|run| run.end() <= sequence);
                if self.runs[at].first <= sequence {
                    return;
                }
                self.runs.insert(at, Run { first: sequence, sources: vec![source] });
            }
            _ => self.runs.push_back(Run { first: sequence, sources: vec![source] }),
        }
        self.count += 1;
        while self.count > HANDED_OUT_MAX {
            self.pop_front();
        }
    }

    pub(super) fn get(&self, sequence: u64) -> Option<SourceId> {
        let run = self.runs.get(self.runs.partition_point(|run| run.end() <= sequence))?;
        let offset = sequence.checked_sub(run.first)?;
        run.sources.get(usize::try_from(offset).ok()?).copied()
    }

    /// Forgets what lies wholly below the floor.
    pub(super) fn forget_below(&mut self, floor: u64) {
        while self.runs.front().is_some_and(|run| run.end() <= floor) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(run) = self.runs.pop_front() {
            self.count -= run.sources.len();
        }
    }
}

/// A run is forgotten as one, so it is kept short.
const RUN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_out_in_any_order_is_found() {
        let mut handed = HandedOut::default();
        for sequence in (10..20).chain(30..40).chain(5..35) {
            handed.insert(sequence, sequence as SourceId);
        }
        for sequence in 5..40 {
            assert_eq!(handed.get(sequence), Some(sequence as SourceId));
        }
        assert_eq!((handed.get(4), handed.get(40)), (None, None));
        handed.forget_below(32);
        assert_eq!((handed.get(20), handed.get(39)), (None, Some(39)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut handed = HandedOut::default();
        for sequence in 0..(HANDED_OUT_MAX + RUN_MAX * 2) as u64 {
            handed.insert(sequence, 1);
        }
        assert!(handed.count <= HANDED_OUT_MAX);
        assert_eq!(handed.get(0), None);
    }
}
