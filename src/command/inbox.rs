//! The inbox: which commands wait, which ids are known, and what to do next with each. Pure; the
//! state store follows it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use holdfast_adapter_api::DeviceName;

use super::{
    deadline::Standing,
    entry::{Entry, Moment, Order, Stage},
    outcome::{Report, Status},
};

/// Ids of settled commands that are remembered.
pub(super) const REMEMBERED_MAX: usize = 1_024;
/// What all waiting commands may take in memory.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

const RESTARTED: &str = "restarted: may have been carried out before a restart";

/// What to do next with a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Carry it out, within this time.
    Carry(Duration),
    /// Ask again a little later.
    Hold,
    /// It is settled: report it.
    Settle(Report),
}

/// Whether a command may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    New,
    Duplicate,
    Full,
}

/// What the state store has to change when a command leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaving {
    /// The number under which its id is remembered from now on.
    pub remembered: u64,
    /// Remembered numbers that are forgotten instead.
    pub forgotten: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Inbox {
    entries: BTreeMap<u64, Entry>,
    waiting: HashMap<String, u64>,
    bytes: usize,
    seen: HashMap<String, u64>,
    seen_in_order: VecDeque<(u64, String)>,
    next_number: u64,
    next_seen: u64,
    pending_max: usize,
}

impl Inbox {
    pub(super) fn new(pending_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            waiting: HashMap::new(),
            bytes: 0,
            seen: HashMap::new(),
            seen_in_order: VecDeque::new(),
            next_number: 0,
            next_seen: 0,
            pending_max,
        }
    }

    /// Takes back a remembered id from disk; in order of their numbers.
    pub(super) fn restore_seen(&mut self, number: u64, id: String) {
        self.next_seen = self.next_seen.max(number + 1);
        self.seen.insert(id.clone(), number);
        self.seen_in_order.push_back((number, id));
    }

    /// Takes back a command from disk, after the remembered ids and in order of their numbers.
    /// False for one that is settled or here already: a write that was given up as failed may
    /// have reached the disk all the same, and its command came again.
    pub(super) fn restore(
        &mut self,
        number: u64,
        mut entry: Entry,
        epoch: u64,
        now: Moment,
    ) -> bool {
        self.next_number = self.next_number.max(number + 1);
        if self.seen.contains_key(&entry.id) || self.waiting.contains_key(&entry.id) {
            return false;
        }
        if entry.stage == Stage::Pending && entry.epoch != epoch {
            let reason =
                "state_damaged: may have been carried out before the state store was repaired";
            entry.stage = Stage::Finished(Report::new(Status::Unknown, Some(reason), now));
        }
        self.insert(number, entry);
        true
    }

    /// Whether a command with this id and weight may come in.
    pub(super) fn admit(&self, id: &str, weight: usize) -> Admission {
        if self.waiting.contains_key(id) || self.seen.contains_key(id) {
            Admission::Duplicate
        } else if self.entries.len() >= self.pending_max
            || self.bytes.saturating_add(weight) > WAITING_BYTES_MAX
        {
            Admission::Full
        } else {
            Admission::New
        }
    }

    /// A number that was never used.
    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(super) fn insert(&mut self, number: u64, entry: Entry) {
        self.bytes += entry.weight();
        self.waiting.insert(entry.id.clone(), number);
        self.entries.insert(number, entry);
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// Follows what was written to disk.
    pub(super) fn set_stage(&mut self, number: u64, stage: Stage) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.stage = stage;
        }
    }

    /// The oldest command for a device.
    pub(super) fn first_for(&self, device: &DeviceName) -> Option<u64> {
        let mut entries = self.entries.iter();
        entries.find(|(_, entry)| entry.device() == Some(device)).map(|(number, _)| *number)
    }

    /// The commands that publish locally, oldest first, each with its topic.
    pub(super) fn publishes(&self) -> Vec<(u64, String)> {
        let publish = |(number, entry): (&u64, &Entry)| match &entry.order {
            Order::Publish { topic, .. } => Some((*number, topic.clone())),
            Order::Write { .. } => None,
        };
        self.entries.iter().filter_map(publish).collect()
    }

    /// Commands for devices that are not among these any more.
    pub(super) fn orphans(&self, known: impl Fn(&DeviceName) -> bool) -> Vec<u64> {
        let orphan = |(_, entry): &(&u64, &Entry)| entry.device().is_some_and(|name| !known(name));
        self.entries.iter().filter(orphan).map(|(number, _)| *number).collect()
    }

    /// What to do with a command now; `None` if it is not here.
    pub(super) fn step(&self, number: u64, now: Moment) -> Option<Step> {
        let entry = self.entries.get(&number)?;
        let settle = |status, reason| Step::Settle(Report::new(status, reason, now));
        match &entry.stage {
            Stage::Pending => {}
            Stage::Finished(report) => return Some(Step::Settle(report.clone())),
            Stage::Started => return Some(settle(Status::Unknown, Some(RESTARTED))),
        }
        Some(match entry.validity.standing(entry.received, now) {
            Standing::InTime(left) => Step::Carry(left),
            Standing::ClockUntrusted => Step::Hold,
            Standing::Expired => settle(Status::Expired, None),
            Standing::ClockNeverTrusted => settle(
                Status::Rejected,
                Some("clock_untrusted: its expiry cannot be judged without the time"),
            ),
        })
    }

    /// How long a command may still take, whatever its stage; `None` if it must not be carried out.
    pub(super) fn time_left(&self, number: u64, now: Moment) -> Option<Duration> {
        let entry = self.entries.get(&number)?;
        match entry.validity.standing(entry.received, now) {
            Standing::InTime(left) => Some(left),
            _ => None,
        }
    }

    /// What the disk has to change when this command leaves.
    pub(super) fn leaving(&self) -> Leaving {
        let surplus = (self.seen_in_order.len() + 1).saturating_sub(REMEMBERED_MAX);
        let forgotten = self.seen_in_order.iter().take(surplus).map(|(number, _)| *number);
        Leaving { remembered: self.next_seen, forgotten: forgotten.collect() }
    }

    /// The disk has changed: the command leaves, its id is remembered.
    pub(super) fn leave(&mut self, number: u64, leaving: &Leaving) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.bytes = self.bytes.saturating_sub(entry.weight());
        self.waiting.remove(&entry.id);
        for _ in &leaving.forgotten {
            if let Some((_, id)) = self.seen_in_order.pop_front() {
                self.seen.remove(&id);
            }
        }
        self.restore_seen(leaving.remembered, entry.id);
    }

    pub(super) fn pending_max(&self) -> usize {
        self.pending_max
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests;
