//! Against a model: what was acknowledged survives every crash, in order, and the ledger knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;

use super::{
    harness::{Chance, Coding, Harness, SMALL, STREAM, root},
    patient::{Original, Patient},
};
use crate::{
    AppendError, Condition, OnFull, Record, Recovery, Refusal, StreamOptions,
    disk::simulated::{Loss, SECTOR_BYTES, SimulatedDisk},
    frame::FRAME_HEADER_BYTES,
    store::BALLAST_BYTES,
};

/// Records of these payload lengths, each from one of three sources.
pub(super) type Batch = Vec<(u8, u16)>;

#[derive(Debug, Clone)]
pub(super) enum Action {
    Append(Batch),
    /// Reads everything and acknowledges the records whose number modulo 7 is not in this set.
    Acknowledge {
        spare: u8,
        at_most: usize,
    },
    /// Reads one chunk of at most so many records and bytes from the floor on.
    Peek(usize, usize),
    /// Time passes, in milliseconds.
    Wait(u64),
    Tend,
    CloseAndOpen,
    KillAndOpen,
    PowerCut(Loss, u64),
    /// The power fails in the middle of what follows.
    CutDuring(Loss, u64, u64, Batch),
    /// The process dies in the middle of what follows.
    KillDuring(u64, Batch),
    /// The process dies, and the power fails while the queue is opened again.
    CutWhileOpening(Loss, u64, u64),
}

/// How often records were refused, by reason.
type Refused = BTreeMap<Refusal, u64>;

/// What the queue was given, and what it must therefore hold.
pub(super) struct Model {
    pub(super) queue: Harness,
    /// Source and payload of everything submitted; payloads begin with their number here.
    submitted: Vec<(String, String)>,
    /// What was promised or served: the number of the submission by sequence.
    known: BTreeMap<u64, usize>,
    /// What is acknowledged and did not come back.
    acknowledged: BTreeSet<u64>,
    /// Records that `drop_newest` said it dropped, and those that it may be found to have dropped
    /// after a restart although it said that it could not.
    dropped: u64,
    in_doubt: u64,
    /// What was counted as refused, by source, and how much of it is surely on disk.
    refused: BTreeMap<String, Refused>,
    refused_on_disk: BTreeMap<String, Refused>,
    /// Whether acknowledgements may have been forgotten since the last check.
    crashed: bool,
    /// Why the last record that was appended was not taken in.
    pub(super) last_refusal: Option<AppendError>,
}

impl Model {
    pub(super) fn new(bytes_max: u64, on_full: OnFull, age_max: Option<Duration>) -> Self {
        Self::on(SimulatedDisk::default(), Coding::PLAIN, bytes_max, on_full, age_max)
    }

    pub(super) fn on(
        disk: SimulatedDisk,
        coding: Coding,
        bytes_max: u64,
        on_full: OnFull,
        age_max: Option<Duration>,
    ) -> Self {
        let mut options =
            StreamOptions { bytes_max, on_full, ..StreamOptions::with_defaults(STREAM) };
        options.age_max = age_max.unwrap_or(options.age_max);
        options.compression = coding.compression;
        Self {
            queue: Harness::with_keys(disk, options, coding.keys()),
            submitted: Vec::new(),
            known: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            dropped: 0,
            in_doubt: 0,
            refused: BTreeMap::new(),
            refused_on_disk: BTreeMap::new(),
            crashed: false,
            last_refusal: None,
        }
    }

    pub(super) fn append(&mut self, batch: &[(u8, u16)]) {
        let first = self.submitted.len();
        for (source, length) in batch {
            let number = format!("{:06}", self.submitted.len());
            let payload = number.repeat(1 + usize::from(*length) / number.len());
            self.submitted.push((format!("s{source}"), payload));
        }
        let records = self.submitted[first..].iter();
        let records = records.map(|(source, text)| self.queue.record(source, text.as_str()));
        let outcomes = self.queue.append(records.collect());
        assert_eq!(outcomes.len(), batch.len());
        self.last_refusal = outcomes.last().and_then(|outcome| outcome.err());
        self.check_the_condition();
        if outcomes.iter().any(Result::is_ok) {
            // Nothing is taken in, or dropped, before a doubt is dispelled.
            self.in_doubt = 0;
        }
        let failed = outcomes.iter().filter(|one| **one == Err(AppendError::StorageFailed)).count();
        self.in_doubt = self.in_doubt.max(failed as u64);
        for (number, outcome) in (first..).zip(outcomes) {
            match outcome {
                Ok(Some(sequence)) => {
                    let before = self.known.insert(sequence, number);
                    assert_eq!(before, None, "sequence {sequence} was used twice");
                }
                Ok(None) => self.dropped += 1,
                Err(error) => self.refuse(number, error),
            }
        }
    }

    /// As whoever appends does.
    fn refuse(&mut self, number: usize, error: AppendError) {
        let reason = match error {
            AppendError::StreamFull => Refusal::StreamFull,
            AppendError::StorageFailed => Refusal::StorageFailed,
            AppendError::Closed => panic!("the queue is open"),
        };
        let source = &self.submitted[number].0;
        self.queue.shared().refuse(source, reason);
        *self.refused.entry(source.clone()).or_default().entry(reason).or_default() += 1;
    }

    /// Health says why records are refused, or why the cursor is not written.
    fn check_the_condition(&self) {
        let condition = self.queue.condition();
        match self.last_refusal {
            Some(AppendError::StreamFull) => {
                assert_ne!(condition, Condition::Healthy);
            }
            Some(AppendError::StorageFailed) => {
                assert!(!matches!(condition, Condition::Healthy | Condition::Full));
            }
            Some(AppendError::Closed) => panic!("the queue is open"),
            None => {}
        }
    }

    fn tend(&mut self) {
        self.queue.tend();
        if self.queue.shared().state().changes > 0 {
            assert!(self.queue.shared().state().troubles.cursor.is_some());
        }
    }

    /// After a restart all is as it was, where the disk did what it was told.
    fn check_the_restart(&mut self) {
        if self.queue.disk.struck().is_none() {
            assert!(self.queue.recovery.damage.is_empty(), "{}", self.queue.recovery);
        } else {
            self.crashed = true;
        }
    }

    fn acknowledge(&mut self, spare: u8, at_most: usize) {
        let Ok(records) = self.queue.try_read_from(0) else { return };
        let chosen = records.iter().filter(|record| spare >> (record.sequence % 7) & 1 == 0);
        for record in chosen.take(at_most) {
            assert!(self.queue.acknowledge(record.sequence));
            assert!(!self.queue.acknowledge(record.sequence), "an acknowledgement counts once");
            self.acknowledged.insert(record.sequence);
        }
    }

    fn peek(&mut self, records_max: usize, bytes_max: usize) {
        let floor = self.queue.shared().state().settled.floor();
        let Ok(chunk) = self.queue.read_chunk(floor, records_max, bytes_max) else { return };
        assert!(chunk.records.len() <= records_max);
        for record in &chunk.records {
            self.recognise(record);
        }
    }

    /// Does one thing; whether the power failed or the process died in it.
    fn act(&mut self, action: &Action) {
        match action {
            Action::Append(batch) => self.append(batch),
            Action::Acknowledge { spare, at_most } => self.acknowledge(*spare, *at_most),
            Action::Peek(records_max, bytes_max) => self.peek(*records_max, *bytes_max),
            Action::Wait(millis) => self.queue.clock.advance(Duration::from_millis(*millis)),
            Action::Tend => self.tend(),
            Action::CloseAndOpen => {
                self.queue.close();
                self.queue.open();
                self.check_the_restart();
            }
            Action::KillAndOpen => {
                self.queue.kill();
                self.queue.open();
                self.crashed = true;
                self.check_the_restart();
            }
            Action::PowerCut(loss, seed) => self.power_cut(*loss, *seed),
            Action::CutDuring(loss, seed, after, batch) => {
                self.queue.disk.cut_after(*after);
                self.append(batch);
                self.queue.tend();
                self.power_cut(*loss, *seed);
            }
            Action::KillDuring(after, batch) => {
                self.queue.disk.cut_after(*after);
                self.append(batch);
                self.queue.tend();
                self.queue.kill();
                self.queue.disk.heal();
                self.queue.open();
                self.crashed = true;
                assert!(self.queue.recovery.damage.is_empty(), "{}", self.queue.recovery);
            }
            Action::CutWhileOpening(loss, seed, after) => {
                self.queue.kill();
                self.queue.disk.cut_after(*after);
                self.queue.open();
                self.power_cut(*loss, *seed);
            }
        }
    }

    /// Does one thing and checks that everything is as it must be.
    pub(super) fn run(&mut self, action: &Action) {
        self.act(action);
        self.check();
    }

    /// Does one thing after the other until the power fails in one of them.
    pub(super) fn run_until_the_cut(&mut self, actions: &[Action]) {
        for action in actions {
            self.act(action);
            if self.queue.disk.power_is_off() {
                return;
            }
        }
    }

    pub(super) fn power_cut(&mut self, loss: Loss, seed: u64) {
        self.queue.kill();
        let mut chance = Chance(seed);
        self.queue.disk.power_cut(loss, &mut |bound| chance.below(bound));
        self.queue.open();
        self.crashed = true;
        self.check_what_is_missing(loss);
        let ballast = self.queue.disk.content(&root().join(STREAM).join("ballast"));
        assert_eq!(ballast.len() as u64, BALLAST_BYTES, "the reserve is there");
    }

    /// Only what a power cut leaves in parts counts as damaged; a write that it cut off is told
    /// as torn, and its numbers are the next.
    fn check_what_is_missing(&self, loss: Loss) {
        let Recovery { damage, torn, .. } = &self.queue.recovery;
        let next = self.queue.shared().state().next;
        assert!(torn.len() <= 1 && torn.iter().all(|torn| torn.sequences.start == next));
        for damage in damage {
            let is_allowed = match loss {
                Loss::Everything | Loss::KeepPrefix => false,
                Loss::KeepSectors => damage.sequences.end < next || !torn.is_empty(),
                // Within one sector.
                Loss::KeepBytes => {
                    let longest = (SECTOR_BYTES + FRAME_HEADER_BYTES) as u64;
                    damage.bytes.end - damage.bytes.start < longest
                }
            };
            assert!(is_allowed, "{loss:?}, {next} is next: {}", self.queue.recovery);
        }
    }

    /// Ends the process; what it leaves is to be damaged.
    pub(super) fn into_patient(mut self) -> Patient {
        self.queue.kill();
        let originals = self.known.iter().map(|(sequence, number)| {
            let (source, payload) = self.submitted[*number].clone();
            (*sequence, Original { source, payload })
        });
        Patient::new(self.queue.disk.duplicate(), self.queue.keys.clone(), originals.collect())
    }

    /// The number of the submission that a record is; it must be one, byte for byte.
    fn recognise(&self, record: &Record) -> usize {
        let text = str::from_utf8(&record.payload).unwrap();
        let number: usize = text[..6].parse().expect("only what was appended is served");
        let (source, payload) = &self.submitted[number];
        assert_eq!((&*record.source, text), (source.as_str(), payload.as_str()));
        assert_eq!(record.topic, format!("t/{source}"));
        number
    }

    pub(super) fn check(&mut self) {
        let records = self.queue.check();
        let mut last = None;
        for record in &records {
            assert!(last < Some(record.sequence), "records come in order");
            last = Some(record.sequence);
            let number = self.recognise(record);
            // What was never promised and survived all the same stays from now on.
            let known = *self.known.entry(record.sequence).or_insert(number);
            assert_eq!(known, number, "sequence {} was used twice", record.sequence);
        }
        // The order in which they were submitted is the order of their sequences.
        assert!(self.known.values().is_sorted_by(|a, b| a < b));
        let there: BTreeSet<_> = records.iter().map(|record| record.sequence).collect();
        let crashed = std::mem::take(&mut self.crashed);
        if crashed {
            self.acknowledged.retain(|sequence| !there.contains(sequence));
        }
        assert!(self.acknowledged.is_disjoint(&there), "what is acknowledged does not come back");
        self.check_the_ledger(&there, crashed);
        self.check_the_refusals(crashed);
    }

    /// The ledger is exact: each count is what the model says it is.
    fn check_the_ledger(&mut self, there: &BTreeSet<u64>, crashed: bool) {
        let total = self.queue.total();
        let missing = self.known.keys();
        let missing =
            missing.filter(|one| !there.contains(one) && !self.acknowledged.contains(one));
        let missing = missing.count() as u64;
        let given_up = total.evicted + total.expired;
        match self.queue.options.on_full {
            OnFull::DropNewest => {
                let found = given_up.checked_sub(self.dropped + missing);
                let found = found.unwrap_or_else(|| panic!("{missing} are lost: {total:?}"));
                let in_doubt = if crashed { std::mem::take(&mut self.in_doubt) } else { 0 };
                assert!(found <= in_doubt, "{found} too many were dropped: {total:?}");
                self.dropped += found;
            }
            OnFull::DropOldest | OnFull::Reject => {
                assert_eq!(given_up, missing, "{missing} are missing: {total:?}");
                assert_eq!(self.dropped, 0);
            }
        }
        // What was accepted was promised, or served, or given up unseen, or damaged before.
        let unseen = given_up - missing;
        assert_eq!(total.accepted, self.known.len() as u64 + unseen + total.damaged, "{total:?}");
        for source in ["s0", "s1", "s2"] {
            let counts = self.queue.counts_of(source);
            let numbers = self.acknowledged.iter().map(|sequence| self.known[sequence]);
            let acknowledged = numbers.filter(|number| self.submitted[*number].0 == source).count();
            let acknowledged = acknowledged as u64;
            assert!(counts.delivered <= acknowledged, "{source}: {counts:?}");
            // An acknowledgement that a crash took back may find its record too old.
            let forgotten = acknowledged - counts.delivered;
            assert!(forgotten <= counts.expired, "{source}: {acknowledged}, {counts:?}");
        }
    }
    /// Refusals are counted exactly; a crash may forget those that the cursor did not know.
    fn check_the_refusals(&mut self, crashed: bool) {
        for source in ["s0", "s1", "s2"] {
            let found = self.queue.counts_of(source).refused;
            let expected = self.refused.entry(source.to_owned()).or_default();
            if crashed {
                let on_disk = self.refused_on_disk.get(source).cloned().unwrap_or_default();
                for reason in Refusal::ALL {
                    let of = |counts: &Refused| counts.get(&reason).copied().unwrap_or(0);
                    let possible = of(&on_disk)..=of(expected);
                    assert!(possible.contains(&of(&found)), "{source}: {found:?}, {expected:?}");
                }
                expected.clone_from(&found);
            }
            assert_eq!(found, *expected, "{source}");
        }
        let state = self.queue.shared().state();
        if state.changes == 0 && state.troubles.cursor.is_none() {
            self.refused_on_disk.clone_from(&self.refused);
        }
    }
}

/// Half of the stories are told in plain frames.
fn coding() -> impl Strategy<Value = Coding> {
    let every: Vec<_> = Coding::all().collect();
    prop_oneof![Just(Coding::PLAIN), proptest::sample::select(every)]
}

fn loss() -> impl Strategy<Value = Loss> {
    proptest::sample::select(&Loss::ALL[..])
}

fn batch() -> impl Strategy<Value = Batch> {
    proptest::collection::vec((0u8..3, 0u16..900), 1..25)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => batch().prop_map(Action::Append),
        4 => (any::<u8>(), 1usize..60)
            .prop_map(|(spare, at_most)| Action::Acknowledge { spare, at_most }),
        1 => (1usize..9, 1usize..3000).prop_map(|(records, bytes)| Action::Peek(records, bytes)),
        2 => Just(Action::Tend),
        1 => Just(Action::CloseAndOpen),
        1 => Just(Action::KillAndOpen),
        1 => (loss(), any::<u64>()).prop_map(|(loss, seed)| Action::PowerCut(loss, seed)),
        3 => (loss(), any::<u64>(), 0u64..14, batch())
            .prop_map(|(loss, seed, after, batch)| Action::CutDuring(loss, seed, after, batch)),
        2 => (0u64..14, batch()).prop_map(|(after, batch)| Action::KillDuring(after, batch)),
        1 => (loss(), any::<u64>(), 0u64..7)
            .prop_map(|(loss, seed, after)| Action::CutWhileOpening(loss, seed, after)),
    ]
}

fn run(on_full: OnFull, coding: Coding, actions: &[Action]) {
    let mut model = Model::on(SimulatedDisk::default(), coding, SMALL, on_full, None);
    for action in actions {
        model.run(action);
    }
    model.run(&Action::CloseAndOpen);
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
