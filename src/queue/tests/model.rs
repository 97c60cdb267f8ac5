//! Against a model: what was acknowledged survives every crash, in order, and the ledger knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    harness::{Chance, Coding, Harness, STREAM, root},
    patient::{Original, Patient},
};
use crate::{
    AppendError, Condition, OnFull, Record, Recovery, Refusal, Report, StreamOptions,
    disk::simulated::{Loss, SECTOR_BYTES, SimulatedDisk},
    frame::FRAME_HEADER_BYTES,
    segment::SegmentName,
    store::BALLAST_BYTES,
    survey::Survey,
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
    /// The process dies, and a bit of a queued record flips; once in a story.
    Flip(u64),
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
    ever_crashed: bool,
    /// Whether a bit has been flipped.
    flipped: bool,
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
            ever_crashed: false,
            flipped: false,
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
            self.check_that_nothing_new_is_damaged();
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
                self.check_that_nothing_new_is_damaged();
            }
            Action::CutWhileOpening(loss, seed, after) => {
                self.queue.kill();
                self.queue.disk.cut_after(*after);
                self.queue.open();
                self.power_cut(*loss, *seed);
            }
            Action::Flip(seed) => self.flip(*seed),
        }
    }

    /// Costs the record that is hit, or its frame if that is encoded, and nothing else. All of it
    /// is named, unless nothing is left that speaks of it.
    fn flip(&mut self, seed: u64) {
        self.queue.kill();
        let mut lost = BTreeSet::new();
        if self.flipped {
            self.queue.open();
        } else {
            self.flipped = true;
            let hit = flip_a_bit(&self.queue, &mut Chance(seed));
            let Report { damage, torn, .. } = self.queue.folder().verify().unwrap();
            let damaged = damage.iter().flat_map(|one| one.sequences.clone());
            lost.extend(damaged.chain(torn.into_iter().flat_map(|one| one.sequences)));
            // What was torn or damaged before is told again.
            lost.retain(|sequence| self.known.contains_key(sequence));
            assert!(lost.is_subset(&hit), "{lost:?} are lost, {hit:?} were hit");
            self.queue.open();
            let next = self.queue.shared().state().next;
            lost.extend(hit.range(next..));
        }
        self.known.retain(|sequence, _| !lost.contains(sequence));
        self.acknowledged.retain(|sequence| !lost.contains(sequence));
        self.crashed = true;
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

    /// What a flipped bit cost is told again where a crash took back that it was found before.
    fn check_that_nothing_new_is_damaged(&self) {
        let Recovery { damage, .. } = &self.queue.recovery;
        assert!(self.flipped || damage.is_empty(), "{}", self.queue.recovery);
    }

    /// Only what a power cut leaves in parts counts as damaged; a write that it cut off is told
    /// as torn, and its numbers are the next.
    fn check_what_is_missing(&self, loss: Loss) {
        let Recovery { damage, torn, .. } = &self.queue.recovery;
        let next = self.queue.shared().state().next;
        assert!(torn.len() <= 1 && torn.iter().all(|torn| torn.sequences.start == next));
        for damage in damage {
            let is_allowed = match loss {
                // A crash takes back that it was found before.
                _ if self.flipped => true,
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
        // Where a segment has lost more than once, it is a guess whose records that were.
        let records = if self.flipped { self.queue.check_the_sums() } else { self.queue.check() };
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
        self.ever_crashed |= crashed;
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
        // Acknowledgements that a crash took back, and whose records were too old by then.
        let forgotten = (self.acknowledged.len() as u64).checked_sub(total.delivered);
        let forgotten = forgotten.unwrap_or_else(|| panic!("too many delivered: {total:?}"));
        assert!(forgotten == 0 || (self.ever_crashed && forgotten <= total.expired), "{total:?}");
        let given_up = total.evicted + total.expired - forgotten;
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

/// Flips a bit in one of the queued records of a dead queue, where the whole frame is queued if it
/// is encoded; the sequences that this may cost.
fn flip_a_bit(queue: &Harness, chance: &mut Chance) -> BTreeSet<u64> {
    let records = queue.folder().records(STREAM, 0).unwrap();
    let queued: BTreeSet<u64> = records.map(|stored| stored.unwrap().record.sequence).collect();
    let paths = queue.disk.paths().into_iter();
    let names = paths.filter_map(|path| SegmentName::parse(path.file_name()?.to_str()?));
    let names: BTreeSet<SegmentName> = names.collect();
    let ends = names.iter().skip(1).map(|next| next.base).chain([u64::MAX]);
    let mut places = Vec::new();
    for (name, end) in names.iter().zip(ends) {
        let dir = root().join(STREAM);
        let survey = Survey::of(&queue.disk, &queue.keys, &dir, *name, end).unwrap();
        for found in &survey.scan.records {
            let beside = survey.scan.records.iter().filter(|one| one.range() == found.range());
            let beside: BTreeSet<u64> = beside.map(|one| one.sequence).collect();
            if beside.is_subset(&queued) {
                places.push((dir.join(name.file_name()), found.range(), beside));
            }
        }
    }
    if places.is_empty() {
        return BTreeSet::new();
    }
    let (path, range, hit) = places.swap_remove(chance.below(places.len() as u64) as usize);
    let mut content = queue.disk.content(&path);
    let at = range.start + chance.below(range.len() as u64) as usize;
    content[at] ^= 1 << chance.below(8);
    queue.disk.set_content(&path, &content);
    hit
}
