//! The state of one stream as its folder tells it.

use std::{
    collections::{HashMap, VecDeque},
    io,
    ops::Range,
    path::Path,
};

use super::{
    files, readable, rebuild,
    report::{Recovery, header_remark},
};
use crate::{
    Torn,
    accounts::{Accounts, Fate, UNKNOWN},
    cursor::{self, Slots, Snapshot},
    damage::{self, charge, missing_by_source, open_gaps},
    disk::{Disk, is_no_damage},
    keys::Keys,
    quarantine::Pieces,
    scan::Gap,
    segment::{self, HeaderError, SegmentHeader, SegmentName},
    settled::Settled,
    state::Segment,
    survey::{Survey, newer},
};

/// A retired segment's file, kept to be used again.
pub(crate) const SPARE_SUFFIX: &str = ".spare";

/// What a stream's folder holds.
#[derive(Debug, Default)]
pub(crate) struct Assessment {
    pub(crate) next: u64,
    pub(crate) settled: Settled,
    pub(crate) accounts: Accounts,
    pub(crate) segments: VecDeque<Segment>,
    /// Files that hold nothing that is still needed.
    pub(crate) dead: Vec<String>,
    /// Files that may become segments, and their lengths.
    pub(crate) spares: Vec<(String, u64)>,
    /// Damage and remarks.
    pub(crate) report: Recovery,
    /// What is missing, for the quarantine.
    pub(crate) cut_out: Pieces,
    pub(crate) cursor_generation: u64,
    pub(crate) segment_generation: u32,
}

/// Assesses the folder `dir` of a stream.
pub(crate) fn assess(
    disk: &dyn Disk,
    keys: &Keys,
    dir: &Path,
    stream: &str,
) -> io::Result<Assessment> {
    let mut work = Work { disk, keys, dir, stream, found: Assessment::default() };
    files::take(&mut work, disk.list(dir)?);
    let slots = cursor::read(disk, dir)?;
    match slots.newest.clone() {
        Some((generation, snapshot)) => {
            work.found.cursor_generation = generation;
            work.start_from_cursor(&slots, snapshot)?;
        }
        None => rebuild::without_cursor(&mut work, slots.damaged)?,
    }
    let Work { mut found, .. } = work;
    let open = found.settled.open_count(0..found.next);
    if found.accounts.reconcile(found.next, open) {
        let note = format!(
            "stream {stream}: the counts of its sources could not all be recovered; \
             the sums are right"
        );
        found.report.notes.push(note);
    }
    Ok(found)
}

pub(super) struct Work<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) keys: &'a Keys,
    pub(super) dir: &'a Path,
    pub(super) stream: &'a str,
    pub(super) found: Assessment,
}

impl Work<'_> {
    pub(super) fn note(&mut self, text: &str) {
        self.found.report.notes.push(format!("stream {}: {text}", self.stream));
    }

    fn remark_on_header(&mut self, name: SegmentName) {
        let remark = header_remark(self.stream, name);
        if !self.found.report.remarks.contains(&remark) {
            self.found.report.remarks.push(remark);
        }
    }

    /// A segment's header; `None` where it is damaged, which is remarked upon.
    pub(super) fn header(&mut self, name: SegmentName) -> io::Result<Option<SegmentHeader>> {
        let read = segment::open(self.disk, self.dir, name)
            .map_err(HeaderError::Io)
            .and_then(|file| SegmentHeader::read(&*file, name));
        match read {
            Ok(header) => Ok(Some(header)),
            Err(HeaderError::Newer(version)) => Err(newer(&name.file_name(), version)),
            Err(HeaderError::Io(error)) if is_no_damage(&error) => Err(error),
            Err(HeaderError::Damaged | HeaderError::Io(_)) => {
                self.remark_on_header(name);
                Ok(None)
            }
        }
    }

    /// Surveys a segment; one that cannot be read at all holds nothing for now.
    pub(super) fn survey(&mut self, name: SegmentName, limit: u64) -> io::Result<Option<Survey>> {
        match Survey::of(self.disk, self.keys, self.dir, name, limit) {
            Ok(survey) => Ok(Some(survey)),
            Err(error) if is_no_damage(&error) => Err(error),
            Err(error) => {
                self.note(&format!("{} cannot be read: {error}", name.file_name()));
                Ok(None)
            }
        }
    }

    fn start_from_cursor(&mut self, slots: &Slots, snapshot: Snapshot) -> io::Result<()> {
        let Snapshot { next, settled, accounts } = snapshot;
        (self.found.next, self.found.settled, self.found.accounts) = (next, settled, accounts);
        if slots.damaged {
            self.note("one of the two cursor slots is damaged; some records may be sent twice");
        }
        self.drop_settled_segments();
        readable::require(self)?;
        let last = self.found.segments.back().map(|last| last.name);
        let mut known_until = next;
        if let Some(last) = last.filter(|last| next < last.base) {
            known_until = self.catch_up(next, last)?;
        }
        // After the catching up, because the oldest segment that is left may begin behind all
        // that the cursor knew.
        self.lost_before_the_first(slots.damaged)?;
        last.map_or(Ok(()), |last| self.take_last(last, known_until))
    }

    /// Segments wholly below the floor are done with, but the last is kept: it carries the
    /// accounts.
    fn drop_settled_segments(&mut self) {
        let floor = self.found.settled.floor();
        while self.found.segments.get(1).is_some_and(|second| second.name.base <= floor) {
            if let Some(first) = self.found.segments.pop_front() {
                self.found.dead.push(first.name.file_name());
            }
        }
    }

    /// Records that are queued by the cursor and older than the oldest segment.
    fn lost_before_the_first(&mut self, cursor_was_newer: bool) -> io::Result<()> {
        let first = self.found.segments.front().map(|segment| segment.name);
        let base = first.map_or(self.found.next, |first| first.base).min(self.found.next);
        let parts = self.found.settled.open_parts(0..base);
        let lost: u64 = parts.iter().map(|part| part.end - part.start).sum();
        if lost == 0 {
            return Ok(());
        }
        let header = first.map(|first| self.header(first)).transpose()?.flatten();
        let behind = self.settled_in_segments()?;
        let found = &mut self.found;
        let expected = header.map(|header| {
            // The queued of each source that are not in the segments still there.
            let mut settled = Accounts::default();
            for (name, count) in found.accounts.settled_named() {
                let id = settled.id(name);
                let behind = behind.get(name).copied().unwrap_or(0);
                settled.accept(id, count.saturating_sub(behind));
            }
            let none = HashMap::new();
            missing_by_source(&mut found.accounts, &settled, &header.accounts, &none)
        });
        let fate = if cursor_was_newer { Fate::Delivered } else { Fate::Damaged };
        found.accounts.settle_damaged(&expected.unwrap_or_default(), lost, fate);
        for part in parts {
            found.settled.insert_range(part.clone());
            if cursor_was_newer {
                continue;
            }
            found.report.damage.push(damage::Damage {
                stream: self.stream.to_owned(),
                file: "a segment that is gone".to_owned(),
                bytes: 0..0,
                sequences: part,
            });
        }
        if cursor_was_newer {
            self.note(&format!(
                "{lost} record(s) were settled by the damaged slot; they are counted as delivered"
            ));
        }
        Ok(())
    }

    /// How many records of each source are in the segments and settled all the same.
    fn settled_in_segments(&mut self) -> io::Result<HashMap<String, u64>> {
        let names: Vec<_> = self.found.segments.iter().map(|segment| segment.name).collect();
        let ends = names.iter().skip(1).map(|next| next.base).chain([u64::MAX]);
        let mut counts = HashMap::new();
        for (name, end) in names.iter().zip(ends) {
            let Some(survey) = self.survey(*name, end)? else { continue };
            for (source, count) in survey.by_source(|one| self.found.settled.contains(one)) {
                *counts.entry(source).or_default() += count;
            }
        }
        Ok(counts)
    }

    /// The cursor is older than the last segment: takes the accepted counts from its header, or
    /// counts them from the records before it. Returns up to where they are known.
    fn catch_up(&mut self, next: u64, last: SegmentName) -> io::Result<u64> {
        if let Some(header) = self.header(last)? {
            self.found.accounts.adopt_accepted(&header.accounts);
            self.found.next = last.base;
            return Ok(last.base);
        }
        let segments: Vec<_> = self.found.segments.iter().map(|segment| segment.name).collect();
        if let Some(first) = segments.first().filter(|first| first.base > next) {
            self.accept_before(*first, next)?;
        }
        for pair in segments.windows(2).filter(|pair| pair[1].base > next) {
            let Some(survey) = self.survey(pair[0], pair[1].base)? else { continue };
            let range = next.max(pair[0].base)..pair[1].base;
            self.count_behind(&survey, range, Vec::new(), None);
        }
        self.found.next = last.base;
        Ok(last.base)
    }

    /// Counts as accepted what came after the cursor, at `next`, and before the oldest segment.
    fn accept_before(&mut self, first: SegmentName, next: u64) -> io::Result<()> {
        match self.header(first)? {
            Some(header) => self.found.accounts.adopt_accepted(&header.accounts),
            None => self.found.accounts.accept(UNKNOWN, first.base - next),
        }
        Ok(())
    }

    /// Counts the records of `range`, about which no account knows anything. `before` are gaps
    /// found before them, `torn` is what lies behind them.
    pub(super) fn count_behind(
        &mut self,
        survey: &Survey,
        range: Range<u64>,
        before: Vec<Gap>,
        torn: Option<&Gap>,
    ) {
        let found = &mut self.found;
        for (source, count) in survey.by_source(|sequence| range.contains(&sequence)) {
            let id = found.accounts.id(&source);
            found.accounts.accept(id, count);
        }
        let gaps = open_gaps(&survey.scan.gaps(range.start, range.end), &found.settled);
        for gap in &gaps {
            found.accounts.lost_unknown(gap.sequences.end - gap.sequences.start);
            found.settled.insert_range(gap.sequences.clone());
        }
        self.cut_out(survey, &[before, gaps].concat(), torn);
    }

    pub(super) fn cut_out(&mut self, survey: &Survey, damaged: &[Gap], torn: Option<&Gap>) {
        let Recovery { damage, torn: told, .. } = &mut self.found.report;
        damage.extend(damage::named(self.stream, survey.name, damaged));
        told.extend(torn.map(|gap| Torn::of(self.stream, survey.name, gap)));
        self.found.cut_out.cut_out(survey, damaged, torn);
    }

    /// Where the stream ends by its last segment, and what of its last write is torn: that is not
    /// counted, and whoever comes next gets its sequences. `known` were stored in any case.
    pub(super) fn end_of_last(&mut self, survey: &Survey, known: u64) -> (u64, Option<Gap>) {
        let torn = survey.torn(known);
        let (end, data_end) = match &torn {
            Some(gap) => (gap.sequences.start, gap.bytes.start),
            None => (survey.scan.claimed_end.max(known), survey.scan.data_end),
        };
        if let Some(last) = self.found.segments.back_mut() {
            last.data_end = data_end;
        }
        self.found.next = end;
        (end, torn)
    }

    /// The last segment is read whole: its tail is where the writing stopped.
    fn take_last(&mut self, name: SegmentName, known: u64) -> io::Result<()> {
        let Some(survey) = self.survey(name, u64::MAX)? else { return Ok(()) };
        let (end, torn) = self.end_of_last(&survey, known.max(name.base));
        let gaps = open_gaps(&survey.scan.gaps(name.base, known), &self.found.settled);
        let lost: u64 = gaps.iter().map(|gap| gap.sequences.end - gap.sequences.start).sum();
        if lost > 0 {
            // These the cursor knew, so they are among the accepted already.
            let found = &mut self.found;
            let at_end = found.accounts.clone();
            let range = name.base..known;
            let settled = &found.settled;
            let expected = charge(&mut found.accounts, settled, known, &survey, range, &at_end);
            found.accounts.settle_damaged(&expected, lost, Fate::Damaged);
            for gap in &gaps {
                found.settled.insert_range(gap.sequences.clone());
            }
        }
        if survey.header.is_none() {
            self.remark_on_header(name);
        }
        self.count_behind(&survey, known..end, gaps, torn.as_ref());
        Ok(())
    }
}
