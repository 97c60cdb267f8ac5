//! What happens when records turn out to be damaged: they are named, counted, cut out and passed
//! over.

use std::{collections::HashMap, fmt, io, ops::Range};

use serde::Serialize;

use super::{
    accounts::{Accounts, Fate},
    quarantine,
    scan::Gap,
    segment::{self, HeaderError, SegmentHeader, SegmentName},
    settled::Settled,
    state::Shared,
    survey::Survey,
};

/// Records that were lost to damage of the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The stream.
    pub stream: String,
    /// The file, within the stream's folder.
    pub file: String,
    /// The bytes of the file in which they were, or would have been.
    pub bytes: Range<u64>,
    /// Their sequences.
    pub sequences: Range<u64>,
}

impl Damage {
    pub(super) fn of(stream: &str, name: SegmentName, gap: &Gap) -> Self {
        Self {
            stream: stream.to_owned(),
            file: name.file_name(),
            bytes: gap.bytes.clone(),
            sequences: gap.sequences.clone(),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, file, bytes, sequences } = self;
        let (count, last) = (sequences.end - sequences.start, sequences.end - 1);
        write!(
            f,
            "stream {stream}: {count} damaged record(s), {} to {last}, in {file} bytes {} to {}",
            sequences.start, bytes.start, bytes.end
        )
    }
}

/// The gaps of a scan as far as their records were not settled before.
pub(super) fn open_gaps(gaps: &[Gap], settled: &Settled) -> Vec<Gap> {
    let parts = gaps.iter().flat_map(|gap| {
        let open = settled.open_parts(gap.sequences.clone());
        open.into_iter().map(|sequences| Gap { sequences, bytes: gap.bytes.clone() })
    });
    parts.collect()
}

pub(super) fn named(stream: &str, name: SegmentName, gaps: &[Gap]) -> Vec<Damage> {
    gaps.iter().map(|gap| Damage::of(stream, name, gap)).collect()
}

/// How many records of each source are missing: those accepted between two points, less those
/// found there. Indexed by the numbers of `accounts`.
pub(super) fn missing_by_source(
    accounts: &mut Accounts,
    at_start: &Accounts,
    at_end: &Accounts,
    found: &HashMap<String, u64>,
) -> Vec<u64> {
    let mut missing = HashMap::<_, u64>::new();
    for (name, count) in at_end.accepted_named() {
        *missing.entry(accounts.id(name)).or_default() += count;
    }
    let less =
        at_start.accepted_named().chain(found.iter().map(|(name, count)| (name.as_str(), *count)));
    for (name, count) in less {
        let entry = missing.entry(accounts.id(name)).or_default();
        *entry = entry.saturating_sub(count);
    }
    let mut by_id = vec![0; accounts.accepted_by_source().len()];
    for (id, count) in missing {
        by_id[usize::from(id)] = count;
    }
    by_id
}

/// How many of the queued records that are missing from a segment belong to each source.
///
/// `range` is that of the segment's sequences, `at_end` the accounts at its end, `lost` how many
/// are missing. Exact in nearly every case; where records that were settled before are damaged
/// too, and others are settled in more than one segment, it is the best guess.
pub(super) fn charge(
    accounts: &mut Accounts,
    settled: &Settled,
    next: u64,
    survey: &Survey,
    range: Range<u64>,
    at_end: &Accounts,
) -> Vec<u64> {
    let open = |sequence| range.contains(&sequence) && !settled.contains(sequence);
    let there = survey.by_source(open);
    let lost = settled.open_count(range.clone()) - there.values().sum::<u64>();
    let mut missing = Vec::new();
    if let Some(header) = &survey.header {
        let found = survey.by_source(|sequence| range.contains(&sequence));
        missing = missing_by_source(accounts, &header.accounts, at_end, &found);
        if missing.iter().sum::<u64>() == lost {
            return missing;
        }
    }
    let others_are_open = settled.floor() >= range.start
        && settled.open_count(range.end..next) == next.saturating_sub(range.end);
    if !others_are_open {
        return missing;
    }
    // All that is queued is in this segment or was accepted after it.
    let now = accounts.clone();
    let after = missing_by_source(accounts, at_end, &now, &HashMap::new());
    let mut queued = accounts.queued_by_source();
    for (name, count) in there {
        // A source that the accounts do not know has nothing queued by them.
        if let Some(queued) = queued.get_mut(usize::from(accounts.id(&name))) {
            *queued = queued.saturating_sub(count);
        }
    }
    for (queued, after) in queued.iter_mut().zip(after) {
        *queued = queued.saturating_sub(after);
    }
    queued
}

/// Surveys a segment and settles what is damaged in it. `None` if the segment is no longer one
/// of the stream's; its records are settled then.
pub(super) fn examine(shared: &Shared, name: SegmentName) -> io::Result<Option<Survey>> {
    let (end, after, accounts_now) = {
        let state = shared.state();
        let Some(end) = state.end_of(name) else { return Ok(None) };
        (end, state.after(name), state.accounts.clone())
    };
    let accounts_at_end = match after {
        Some(after) => header(shared, after)?.map(|header| header.accounts),
        None => Some(accounts_now),
    };
    let survey = Survey::of(&*shared.disk, &shared.keys, &shared.dir, name, end)?;
    let mut gaps = survey.scan.gaps(name.base, end);
    {
        let mut state = shared.state();
        if state.end_of(name).is_none() {
            return Ok(None);
        }
        gaps = open_gaps(&gaps, &state.settled);
        let lost: u64 = gaps.iter().map(|gap| gap.sequences.end - gap.sequences.start).sum();
        if lost > 0 {
            let state = &mut *state;
            let expected = accounts_at_end.map_or_else(Vec::new, |at_end| {
                let range = name.base..end;
                charge(&mut state.accounts, &state.settled, state.next, &survey, range, &at_end)
            });
            for gap in &gaps {
                state.settled.insert_range(gap.sequences.clone());
            }
            state.accounts.settle_damaged(&expected, lost, Fate::Damaged);
            state.changes += lost;
        }
    }
    report(shared, &survey, &gaps);
    Ok(Some(survey))
}

fn header(shared: &Shared, name: SegmentName) -> io::Result<Option<SegmentHeader>> {
    let file = segment::open(&*shared.disk, &shared.dir, name)?;
    match SegmentHeader::read(&*file, name) {
        Ok(header) => Ok(Some(header)),
        Err(HeaderError::Io(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn report(shared: &Shared, survey: &Survey, gaps: &[Gap]) {
    for damage in named(&shared.options.name, survey.name, gaps) {
        tracing::error!("{damage}");
    }
    quarantine::keep(&*shared.disk, &shared.dir, shared.options.bytes_max, survey, gaps);
}
