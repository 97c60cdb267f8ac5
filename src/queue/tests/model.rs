//! Against a model: what was acknowledged survives every crash, in order, and the ledger knows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::harness::{Chance, Coding, Harness, SMALL};
use crate::{OnFull, disk::simulated::Loss};

#[derive(Debug, Clone)]
enum Action {
    /// Records of these payload lengths, each from one of three sources.
    Append(Vec<(u8, u16)>),
    /// Reads everything and acknowledges the records whose number modulo 7 is not in this set.
    Acknowledge {
        spare: u8,
        at_most: usize,
    },
    Tend,
    CloseAndOpen,
    KillAndOpen,
    PowerCut(Loss, u64),
    /// The power fails in the middle of what follows.
    CutDuring(Loss, u64, u64, Vec<(u8, u16)>),
}

/// Half of the stories are told in plain frames.
fn coding() -> impl Strategy<Value = Coding> {
    let every: Vec<_> = Coding::all().collect();
    prop_oneof![Just(Coding::PLAIN), proptest::sample::select(every)]
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![Just(Loss::Everything), Just(Loss::KeepPrefix), Just(Loss::KeepSectors)]
}

fn batch() -> impl Strategy<Value = Vec<(u8, u16)>> {
    proptest::collection::vec((0u8..3, 0u16..900), 1..25)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => batch().prop_map(Action::Append),
        4 => (any::<u8>(), 1usize..60)
            .prop_map(|(spare, at_most)| Action::Acknowledge { spare, at_most }),
        2 => Just(Action::Tend),
        1 => Just(Action::CloseAndOpen),
        1 => Just(Action::KillAndOpen),
        1 => (loss(), any::<u64>()).prop_map(|(loss, seed)| Action::PowerCut(loss, seed)),
        3 => (loss(), any::<u64>(), 0u64..14, batch())
            .prop_map(|(loss, seed, after, batch)| Action::CutDuring(loss, seed, after, batch)),
    ]
}

struct Model {
    queue: Harness,
    /// Numbers every payload, so that each is found again or missed.
    submitted: u64,
    /// What was promised or served, by sequence.
    known: BTreeMap<u64, String>,
    acknowledged: BTreeSet<u64>,
    /// What was evicted, by the ledger, when last looked at.
    on_full: OnFull,
}

impl Model {
    fn new(on_full: OnFull, coding: Coding) -> Self {
        Self {
            queue: Harness::coded(SMALL, on_full, coding),
            submitted: 0,
            known: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            on_full,
        }
    }

    fn append(&mut self, batch: &[(u8, u16)]) {
        let mut texts = Vec::new();
        let records = batch.iter().map(|(source, length)| {
            let text = format!("{:06}{}", self.submitted, ".".repeat(usize::from(*length)));
            self.submitted += 1;
            texts.push(text.clone());
            self.queue.record(&format!("s{source}"), text)
        });
        let records = records.collect();
        for (text, outcome) in texts.into_iter().zip(self.queue.append(records)) {
            if let Ok(Some(sequence)) = outcome {
                let before = self.known.insert(sequence, text);
                assert_eq!(before, None, "sequence {sequence} was used twice");
            }
        }
    }

    fn acknowledge(&mut self, spare: u8, at_most: usize) {
        let records = self.queue.read_all();
        let chosen = records.iter().filter(|record| spare >> (record.sequence % 7) & 1 == 0);
        for record in chosen.take(at_most) {
            assert!(self.queue.acknowledge(record.sequence));
            assert!(!self.queue.acknowledge(record.sequence), "an acknowledgement counts once");
            self.acknowledged.insert(record.sequence);
        }
    }

    fn run(&mut self, action: &Action) {
        match action {
            Action::Append(batch) => self.append(batch),
            Action::Acknowledge { spare, at_most } => self.acknowledge(*spare, *at_most),
            Action::Tend => self.queue.tend(),
            Action::CloseAndOpen => {
                self.queue.close();
                self.queue.open();
                assert!(self.queue.recovery.damage.is_empty(), "{}", self.queue.recovery);
            }
            Action::KillAndOpen => {
                self.queue.kill();
                self.queue.open();
                assert!(self.queue.recovery.damage.is_empty(), "{}", self.queue.recovery);
            }
            Action::PowerCut(loss, seed) => self.power_cut(*loss, *seed),
            Action::CutDuring(loss, seed, after, batch) => {
                self.queue.disk.cut_after(*after);
                self.append(batch);
                self.queue.tend();
                self.power_cut(*loss, *seed);
            }
        }
        self.check();
    }

    fn power_cut(&mut self, loss: Loss, seed: u64) {
        self.queue.kill();
        let mut chance = Chance(seed);
        self.queue.disk.power_cut(loss, &mut |bound| chance.below(bound));
        self.queue.open();
    }

    fn check(&mut self) {
        let records = self.queue.check();
        let mut last = None;
        for record in &records {
            assert!(last < Some(record.sequence), "records come in order");
            last = Some(record.sequence);
            let text = String::from_utf8(record.payload.to_vec()).unwrap();
            let number: u64 = text[..6].parse().expect("only what was appended is served");
            assert!(number < self.submitted);
            match self.known.get(&record.sequence) {
                Some(known) => assert_eq!(*known, text, "sequence {}", record.sequence),
                // It was never acknowledged and survived all the same; from now on it stays.
                None => assert!(self.known.insert(record.sequence, text).is_none()),
            }
        }
        let there: BTreeSet<_> = records.iter().map(|record| record.sequence).collect();
        let mut missing = self
            .known
            .keys()
            .filter(|sequence| !there.contains(sequence) && !self.acknowledged.contains(sequence));
        match self.on_full {
            OnFull::DropOldest => {
                let missing = missing.count() as u64;
                let evicted = self.queue.total().evicted;
                assert!(missing <= evicted, "{missing} are missing and {evicted} were evicted");
            }
            _ => assert_eq!(missing.next(), None, "an acknowledged record is lost"),
        }
        // The order in which they were submitted is the order of their sequences.
        assert!(self.known.values().is_sorted_by(|a, b| a[..6] < b[..6]));
    }
}

fn run(on_full: OnFull, coding: Coding, actions: &[Action]) {
    let mut model = Model::new(on_full, coding);
    for action in actions {
        model.run(action);
    }
    model.queue.close();
    model.queue.open();
    model.check();
}

/// How many stories each test tells; `HOLDFAST_MODEL_CASES` asks for more. A story that fails is
/// printed with its seed.
fn cases() -> u32 {
    std::env::var("HOLDFAST_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(250)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_records_survive_every_crash(
        coding in coding(),
        actions in proptest::collection::vec(action(), 1..40),
    ) {
        run(OnFull::Reject, coding, &actions);
    }

    #[test]
    fn only_evicted_records_are_missing_under_drop_oldest(
        coding in coding(),
        actions in proptest::collection::vec(action(), 1..40),
    ) {
        run(OnFull::DropOldest, coding, &actions);
    }

    #[test]
    fn dropped_newest_records_are_counted_across_crashes(
        coding in coding(),
        actions in proptest::collection::vec(action(), 1..40),
    ) {
        run(OnFull::DropNewest, coding, &actions);
    }
}
