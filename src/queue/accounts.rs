//! The counts behind the ledger: per source what was accepted and what became of it.
//!
//! What is queued is never stored: it is what was accepted and has not been settled. So every
//! account balances by construction, and the art lies in settling each record exactly once and
//! under its own source.

use std::{collections::HashMap, sync::Arc};

use super::{
    Counts, Refusal, SourceLedger,
    codec::{Take, put_bytes, put_varint},
};

/// The number of a source within one stream.
pub(super) type SourceId = u16;

/// Records that were damaged before their source could be read.
pub(super) const UNKNOWN: SourceId = 0;
/// All sources beyond the most that are told apart.
pub(super) const OTHER: SourceId = 1;
/// The most sources of a stream that are told apart.
pub(super) const SOURCES_MAX: usize = 4096;
/// Sources with a longer name are counted under `(other)`.
pub(super) const SOURCE_NAME_BYTES_MAX: usize = 128;

/// Counts of what was accepted and settled that add up to more than this are damaged: no more than
/// a stream's sequences are accepted, and no more than that is settled. Sums of several such sets
/// still fit.
const SUM_MAX: u64 = 1 << 58;
/// Refusals of one source for one reason are counted up to this; more are damaged.
const REFUSED_MAX: u64 = 1 << 48;

const REFUSALS: [Refusal; 4] = Refusal::ALL;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Expired,
    Evicted,
    Damaged,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) accepted: u64,
    settled: [u64; 4],
    refused: [u64; 4],
}

impl Account {
    pub(super) fn settled(&self) -> u64 {
        self.settled.iter().sum()
    }

    pub(super) fn queued(&self) -> u64 {
        self.accepted.saturating_sub(self.settled())
    }

    fn counts(&self) -> Counts {
        let [delivered, expired, evicted, damaged] = self.settled;
        let refused = REFUSALS.iter().zip(self.refused).filter(|(_, count)| *count > 0);
        Counts {
            accepted: self.accepted,
            delivered,
            queued: self.queued(),
            expired,
            evicted,
            damaged,
            refused: refused.map(|(reason, count)| (*reason, count)).collect(),
        }
    }
}

/// The source that was looked up last.
#[derive(Debug, Default)]
pub(super) struct Neighbour(Option<(Arc<str>, SourceId)>);

/// The accounts of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accounts {
    names: Vec<Arc<str>>,
    index: HashMap<Arc<str>, SourceId>,
    entries: Vec<Account>,
}

impl Default for Accounts {
    fn default() -> Self {
        let mut empty = Self { names: Vec::new(), index: HashMap::new(), entries: Vec::new() };
        empty.open("(unknown)".into());
        empty.open("(other)".into());
        empty
    }
}

impl Accounts {
    fn open(&mut self, name: Arc<str>) -> SourceId {
        let id = self.names.len() as SourceId;
        self.index.insert(Arc::clone(&name), id);
        self.names.push(name);
        self.entries.push(Account::default());
        id
    }

    /// The number of a source, given to it now if it has none.
    pub(super) fn id(&mut self, name: &str) -> SourceId {
        self.find(name).unwrap_or_else(|| self.open(name.into()))
    }

    /// The number of a source whose name is shared rather than copied if it is new.
    pub(super) fn id_shared(&mut self, name: &Arc<str>) -> SourceId {
        self.find(name).unwrap_or_else(|| self.open(Arc::clone(name)))
    }

    /// The same for one of several records: neighbours often share their source.
    pub(super) fn id_beside(&mut self, name: &Arc<str>, last: &mut Neighbour) -> SourceId {
        match &last.0 {
            Some((source, id)) if Arc::ptr_eq(source, name) => *id,
            _ => {
                let id = self.id_shared(name);
                last.0 = Some((Arc::clone(name), id));
                id
            }
        }
    }

    fn find(&self, name: &str) -> Option<SourceId> {
        let full = self.names.len() >= SOURCES_MAX || name.len() > SOURCE_NAME_BYTES_MAX;
        self.index.get(name).copied().or(full.then_some(OTHER))
    }

    fn account(&mut self, id: SourceId) -> &mut Account {
        &mut self.entries[usize::from(id)]
    }

    pub(super) fn accept(&mut self, id: SourceId, count: u64) {
        self.account(id).accepted += count;
    }

    pub(super) fn refuse(&mut self, id: SourceId, reason: Refusal) {
        if let Some(slot) = REFUSALS.iter().position(|known| *known == reason) {
            let count = &mut self.account(id).refused[slot];
            *count = REFUSED_MAX.min(*count + 1);
        }
    }

    /// Settles `count` records of one source.
    ///
    /// A source can have too few queued only because damage whose source was guessed
    /// ([`Accounts::settle_damaged`]) was guessed wrongly; the guess is then corrected.
    pub(super) fn settle(&mut self, id: SourceId, fate: Fate, count: u64) {
        let missing = count.saturating_sub(self.account(id).queued());
        if missing > 0 {
            self.give_back(id, missing);
        }
        self.account(id).settled[fate as usize] += count;
    }

    fn give_back(&mut self, id: SourceId, count: u64) {
        let account = self.account(id);
        let damaged = count.min(account.settled[Fate::Damaged as usize]);
        account.settled[Fate::Damaged as usize] -= damaged;
        account.accepted += count - damaged;
        self.spread(id, count, |account, share| {
            let from_damaged = share.min(damaged);
            account.settled[Fate::Damaged as usize] += from_damaged;
            account.accepted -= share - from_damaged;
        });
    }

    /// Of the records accepted before anyone could read whose they were, `count` turn out to be
    /// of a source.
    pub(super) fn recognise(&mut self, id: SourceId, count: u64) {
        let count = count.min(self.entries[usize::from(UNKNOWN)].queued());
        self.account(UNKNOWN).accepted -= count;
        self.account(id).accepted += count;
    }

    /// Takes `count` queued records from those whose source is unknown, then from the sources
    /// that have most, `except` one.
    fn spread(
        &mut self,
        except: SourceId,
        mut count: u64,
        mut take: impl FnMut(&mut Account, u64),
    ) {
        while count > 0 {
            let others = self.entries.iter_mut().enumerate();
            let richest = others
                .filter(|(id, account)| *id != usize::from(except) && account.queued() > 0)
                .max_by_key(|(id, account)| (*id == usize::from(UNKNOWN), account.queued()))
                .map(|(_, account)| account);
            let Some(account) = richest else { return };
            let share = count.min(account.queued());
            take(account, share);
            count -= share;
        }
    }

    /// Settles `count` records, already accepted under their sources, whose sources cannot be
    /// read any more. `expected` says how many of each source are missing where they were; where
    /// that does not decide, those who have most queued are charged.
    pub(super) fn settle_damaged(&mut self, expected: &[u64], mut count: u64, fate: Fate) {
        for (account, missing) in self.entries.iter_mut().zip(expected) {
            let share = count.min(*missing).min(account.queued());
            account.settled[fate as usize] += share;
            count -= share;
        }
        self.spread(SourceId::MAX, count, |account, share| {
            account.settled[fate as usize] += share;
        });
    }

    /// Counts records that were accepted and lost before anyone knew whose they were.
    pub(super) fn lost_unknown(&mut self, count: u64) {
        let account = self.account(UNKNOWN);
        account.accepted += count;
        account.settled[Fate::Damaged as usize] += count;
    }

    /// Makes the settled counts of each source add up to `settled`: where they fall short,
    /// `damaged` of them all became damaged and the rest was delivered; where they exceed it, the
    /// excess is taken back, deliveries first. What is damaged and was counted as delivered is
    /// so no longer: nobody knows that it was.
    pub(super) fn force_settled(&mut self, settled: &[u64], mut damaged: u64) {
        for (id, account) in self.entries.iter_mut().enumerate() {
            let target = settled.get(id).copied().unwrap_or(0);
            let lacking = target.saturating_sub(account.settled());
            let share = lacking.min(damaged);
            damaged -= share;
            account.settled[Fate::Damaged as usize] += share;
            account.settled[Fate::Delivered as usize] += lacking - share;
            let mut excess = account.settled().saturating_sub(target);
            for slot in &mut account.settled {
                let share = excess.min(*slot);
                *slot -= share;
                excess -= share;
            }
        }
        for account in &mut self.entries {
            let share = damaged.min(account.settled[Fate::Delivered as usize]);
            account.settled[Fate::Delivered as usize] -= share;
            account.settled[Fate::Damaged as usize] += share;
            damaged -= share;
        }
    }

    /// Records accepted under each source, by its number.
    pub(super) fn accepted_by_source(&self) -> Vec<u64> {
        self.entries.iter().map(|account| account.accepted).collect()
    }

    /// Records accepted under each source, by its name.
    pub(super) fn accepted_named(&self) -> impl Iterator<Item = (&str, u64)> {
        let accepted = self.entries.iter().map(|account| account.accepted);
        self.names.iter().map(|name| &**name).zip(accepted)
    }

    /// Records queued under each source, by its number.
    pub(super) fn queued_by_source(&self) -> Vec<u64> {
        self.entries.iter().map(Account::queued).collect()
    }

    /// Records settled under each source, by its name.
    pub(super) fn settled_named(&self) -> impl Iterator<Item = (&str, u64)> {
        let settled = self.entries.iter().map(Account::settled);
        self.names.iter().map(|name| &**name).zip(settled)
    }

    /// Takes over what another set of accounts, later than this one, says was accepted and
    /// refused.
    pub(super) fn adopt_accepted(&mut self, later: &Self) {
        for (name, theirs) in later.names.iter().zip(&later.entries) {
            let id = self.id_shared(name);
            let account = self.account(id);
            account.accepted = account.accepted.max(theirs.accepted);
            for (count, later) in account.refused.iter_mut().zip(theirs.refused) {
                *count = later.max(*count);
            }
        }
    }

    /// Makes the sums agree with the stream, whatever the counts say: `accepted` records, of
    /// which `queued` are not settled. Returns whether anything had to be changed.
    ///
    /// Only damage to several copies of the counts at once brings them apart.
    pub(super) fn reconcile(&mut self, accepted: u64, queued: u64) -> bool {
        let before = self.clone();
        for account in &mut self.entries {
            account.accepted = account.accepted.max(account.settled());
        }
        self.settle_damaged(&[], self.queued().saturating_sub(queued), Fate::Delivered);
        let lacking = queued - self.queued();
        self.account(UNKNOWN).accepted += lacking;
        let (sum, delivered) = (self.accepted(), Fate::Delivered as usize);
        if let Some(lacking) = accepted.checked_sub(sum) {
            let account = self.account(UNKNOWN);
            account.accepted += lacking;
            account.settled[delivered] += lacking;
        }
        let mut excess = sum.saturating_sub(accepted);
        for account in &mut self.entries {
            for slot in &mut account.settled {
                let share = excess.min(*slot);
                *slot -= share;
                account.accepted -= share;
                excess -= share;
            }
        }
        *self != before
    }

    pub(super) fn accepted(&self) -> u64 {
        self.entries.iter().map(|account| account.accepted).sum()
    }

    pub(super) fn queued(&self) -> u64 {
        self.entries.iter().map(Account::queued).sum()
    }

    /// The sum over all sources.
    pub(super) fn total(&self) -> Counts {
        let mut total = Account::default();
        for account in &self.entries {
            total.accepted += account.accepted;
            for (sum, count) in total.settled.iter_mut().zip(account.settled) {
                *sum += count;
            }
            for (sum, count) in total.refused.iter_mut().zip(account.refused) {
                *sum += count;
            }
        }
        total.counts()
    }

    /// The page of the ledger: the sum, and each source that ever did anything.
    pub(super) fn page(&self) -> (Counts, Vec<SourceLedger>) {
        let mut sources = Vec::new();
        for (name, account) in self.names.iter().zip(&self.entries) {
            if *account != Account::default() {
                sources.push(SourceLedger { source: name.to_string(), counts: account.counts() });
            }
        }
        sources.sort_by(|a, b| a.source.cmp(&b.source));
        (self.total(), sources)
    }

    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        put_varint(buffer, self.names.len() as u64);
        for (name, account) in self.names.iter().zip(&self.entries) {
            put_bytes(buffer, name.as_bytes());
            put_varint(buffer, account.accepted);
            for count in account.settled.iter().chain(&account.refused) {
                put_varint(buffer, *count);
            }
        }
    }

    pub(super) fn decode(take: &mut Take<'_>) -> Option<Self> {
        let count = take.length()?;
        if !(2..=SOURCES_MAX).contains(&count) {
            return None;
        }
        let mut decoded = Self { names: Vec::new(), index: HashMap::new(), entries: Vec::new() };
        let mut sum = 0u64;
        for _ in 0..count {
            let name = take.text().filter(|name| !decoded.index.contains_key(*name))?;
            let id = decoded.open(name.into());
            let account = decoded.account(id);
            for slot in std::iter::once(&mut account.accepted).chain(&mut account.settled) {
                *slot = take.varint()?;
                sum = sum.checked_add(*slot)?;
            }
            for slot in &mut account.refused {
                *slot = take.varint().filter(|count| *count <= REFUSED_MAX)?;
            }
        }
        (sum <= SUM_MAX).then_some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_survive_their_encoding() {
        let mut accounts = Accounts::default();
        let a = accounts.id("a");
        accounts.accept(a, 10);
        accounts.settle(a, Fate::Delivered, 3);
        accounts.refuse(a, Refusal::StreamFull);
        let mut bytes = Vec::new();
        accounts.encode(&mut bytes);
        assert_eq!(Accounts::decode(&mut Take(&bytes)), Some(accounts));
    }

    #[test]
    fn counts_that_cannot_be_are_not_believed() {
        let encoded = |names: [&str; 2], count, refused| {
            let mut bytes = vec![2];
            for name in names {
                put_bytes(&mut bytes, name.as_bytes());
                (0..5).for_each(|_| put_varint(&mut bytes, count));
                (0..4).for_each(|_| put_varint(&mut bytes, refused));
            }
            bytes
        };
        let taken = |bytes: Vec<u8>| Accounts::decode(&mut Take(&bytes)).is_some();
        assert!(taken(encoded(["a", "b"], SUM_MAX / 10, REFUSED_MAX)));
        assert!(!taken(encoded(["a", "b"], SUM_MAX / 5, 1)));
        assert!(!taken(encoded(["a", "b"], u64::MAX, 1)));
        assert!(!taken(encoded(["a", "b"], 1, REFUSED_MAX + 1)));
        assert!(!taken(encoded(["a", "a"], 1, 1)));
    }

    #[test]
    fn what_was_counted_can_be_read_again_however_much_it_is() {
        let mut accounts = Accounts::default();
        let id = accounts.id("a");
        accounts.account(id).refused = [REFUSED_MAX; 4];
        accounts.refuse(id, Refusal::StreamFull);
        accounts.reconcile(crate::record::SEQUENCE_END, 0);
        let mut bytes = Vec::new();
        accounts.encode(&mut bytes);
        assert_eq!(Accounts::decode(&mut Take(&bytes)), Some(accounts));
    }

    #[test]
    fn sources_beyond_the_most_are_counted_together() {
        let mut accounts = Accounts::default();
        for number in 0..SOURCES_MAX + 10 {
            let id = accounts.id(&format!("s{number}"));
            accounts.accept(id, 1);
        }
        let (total, sources) = accounts.page();
        assert_eq!(total.accepted as usize, SOURCES_MAX + 10);
        assert!(sources.len() <= SOURCES_MAX);
        assert_eq!(sources.iter().find(|s| s.source == "(other)").unwrap().counts.accepted, 12);
        assert_eq!(Accounts::default().id(&"x".repeat(SOURCE_NAME_BYTES_MAX + 1)), OTHER);
    }

    #[test]
    fn damage_charged_to_the_wrong_source_is_corrected_when_it_shows() {
        let mut accounts = Accounts::default();
        let (a, b) = (accounts.id("a"), accounts.id("b"));
        accounts.accept(a, 3);
        accounts.accept(b, 2);
        accounts.settle_damaged(&[], 1, Fate::Damaged);
        assert_eq!(accounts.entries[usize::from(a)].queued(), 2);
        // It was b's record: a delivers all of its three.
        accounts.settle(a, Fate::Delivered, 3);
        accounts.settle(b, Fate::Delivered, 1);
        let (total, sources) = accounts.page();
        assert_eq!((total.delivered, total.damaged, total.queued), (4, 1, 0));
        assert!(sources.iter().all(|source| source.counts.balances()));
        let damaged = |name| sources.iter().find(|s| s.source == name).unwrap().counts.damaged;
        assert_eq!((damaged("a"), damaged("b")), (0, 1));
    }

    #[test]
    fn damage_is_charged_to_those_whose_records_are_missing() {
        let mut accounts = Accounts::default();
        let (a, b) = (accounts.id("a"), accounts.id("b"));
        accounts.accept(a, 100);
        accounts.accept(b, 5);
        accounts.settle_damaged(&[0, 0, 0, 2], 2, Fate::Damaged);
        assert_eq!(accounts.entries[usize::from(b)].settled[Fate::Damaged as usize], 2);
        assert_eq!(accounts.queued(), 103);
    }
}
