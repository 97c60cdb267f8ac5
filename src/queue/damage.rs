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
    let named = gaps.iter().map(|gap| Damage {
        stream: stream.to_owned(),
        file: name.file_name(),
        bytes: gap.bytes.clone(),
        sequences: gap.sequences.clone(),
    });
    named.collect()
}

/// How many records of each source are missing: those accepted between two points, less those
/// found there. Indexed by the numbers of `accounts`.
pub(super) fn missing_by_source(
    accounts: &mut Accounts,
    at_start: &Accounts,
    at_end: &Accounts,
    found: &HashMap<&str, u64>,
) -> Vec<u64> {
    let mut missing = HashMap::<_, u64>::new();
    for (name, count) in at_end.accepted_named() {
        *missing.entry(accounts.id(name)).or_default() += count;
    }
    let less = at_start.accepted_named().chain(found.iter().map(|(name, count)| (*name, *count)));
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
    let survey = Survey::of(&*shared.disk, &shared.dir, name, end)?;
    let mut gaps = survey.scan.gaps(name.base, end);
    {
        let mut state = shared.state();
        if state.end_of(name).is_none() {
            return Ok(None);
        }
        gaps = open_gaps(&gaps, &state.settled);
        let lost: u64 = gaps.iter().map(|gap| gap.sequences.end - gap.sequences.start).sum();
        if lost > 0 {
            let expected = match (&survey.header, &accounts_at_end) {
                (Some(start), Some(end)) => {
                    let found = survey.by_source(|_| true);
                    missing_by_source(&mut state.accounts, &start.accounts, end, &found)
                }
                _ => Vec::new(),
            };
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
