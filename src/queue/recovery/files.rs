//! Which files of a stream's folder are its segments.

use std::{cmp::Reverse, collections::VecDeque};

use super::assess::{SPARE_SUFFIX, Work};
use crate::{
    disk::{DiskFile, Entry},
    scan::SEQUENCE_LEAP_MAX,
    segment::{self, HeaderError, SegmentHeader, SegmentName},
    state::Segment,
    survey::Survey,
};

/// Sorts the files: segments in order, and those that a later segment has replaced.
///
/// A segment replaces all that earlier ones hold from its base on: they are what is left of
/// writes that failed. Names alone decide that, so a name that is damaged could do away with the
/// whole stream, or lead far beyond it; where it would, the content must bear it out.
pub(super) fn take(work: &mut Work<'_>, entries: Vec<Entry>) {
    let mut found = Vec::new();
    for entry in entries {
        if let Some(name) = SegmentName::parse(&entry.name) {
            let generation = &mut work.found.segment_generation;
            *generation = name.generation().max(*generation);
            found.push(Segment { name, file_bytes: entry.bytes, data_end: entry.bytes });
        } else if entry.name.ends_with(SPARE_SUFFIX) {
            if entry.bytes == 0 {
                work.found.dead.push(entry.name);
            } else {
                work.found.spares.push((entry.name, entry.bytes));
            }
        }
    }
    found.sort_by_key(|segment| Reverse(segment.name.id));
    let mut segments: VecDeque<Segment> = VecDeque::new();
    for segment in found {
        while let Some(later) = segments.front()
            && later.name.base <= segment.name.base
            && !is_borne_out(work, later.name)
        {
            segments.pop_front();
        }
        if segments.front().is_none_or(|later| segment.name.base < later.name.base) {
            segments.push_front(segment);
        } else {
            work.found.dead.push(segment.name.file_name());
        }
    }
    // At the end, a name that lies at a believable distance is believed: it may be all that is
    // left to say how many records there were.
    while let Some(before) = segments.iter().rev().nth(1)
        && let Some(last) = segments.back()
        && last.name.base - before.name.base > SEQUENCE_LEAP_MAX
        && !is_borne_out(work, last.name)
    {
        segments.pop_back();
    }
    work.found.segments = segments;
}

/// Whether a file holds what its name says: by its header, or, where that is damaged, by any
/// intact frame or record. What cannot be read is given the benefit of the doubt.
fn is_borne_out(work: &mut Work<'_>, name: SegmentName) -> bool {
    let Ok(file) = segment::open(work.disk, work.dir, name) else { return true };
    if !matches!(SegmentHeader::read(&*file, name), Err(HeaderError::Damaged)) {
        return true;
    }
    let survey = Survey::of(work.disk, work.keys, work.dir, name, u64::MAX);
    let speaks = survey.is_err() || survey.is_ok_and(|survey| survey.scan.claimed_end > name.base);
    let holds = speaks && !is_anothers(&*file, name);
    if !holds {
        let file_name = name.file_name();
        work.note(&format!(
            "{file_name} holds nothing that fits its name; it is passed over, and left there"
        ));
    }
    holds
}

/// Whether a file has the intact header of a segment of another name.
fn is_anothers(file: &dyn DiskFile, name: SegmentName) -> bool {
    let Some(stated) = SegmentHeader::stated_name(file) else { return false };
    stated != name && SegmentHeader::read(file, stated).is_ok()
}
