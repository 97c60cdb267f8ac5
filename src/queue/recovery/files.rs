//! Which files of a stream's folder are its segments.

use std::{cmp::Reverse, collections::VecDeque, io};

use super::assess::{SPARE_SUFFIX, Work};
use crate::{
    disk::{DiskFile, Entry, is_no_damage},
    record::SEQUENCE_END,
    segment::{self, HeaderError, SEGMENT_FILE_BYTES_MAX, SegmentHeader, SegmentName, records_max},
    state::Segment,
    survey::Survey,
};

/// Sorts the files: segments in order, and those that a later segment has replaced.
///
/// A segment replaces all that earlier ones hold from its base on: they are what is left of
/// writes that failed. Names alone decide that, so a name that is damaged could do away with the
/// whole stream; where it would, the content must bear it out.
pub(super) fn take(work: &mut Work<'_>, entries: Vec<Entry>) -> io::Result<()> {
    let mut found = Vec::new();
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        if let Some(name) = SegmentName::parse(&entry.name) {
            let generation = &mut work.found.segment_generation;
            *generation = name.generation().max(*generation);
            let bytes = entry.bytes.min(SEGMENT_FILE_BYTES_MAX);
            found.push(Segment { name, file_bytes: bytes, data_end: bytes });
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
            && !is_borne_out(work, *later)?
        {
            segments.pop_front();
        }
        if segments.front().is_none_or(|later| segment.name.base < later.name.base) {
            segments.push_front(segment);
        } else {
            work.found.dead.push(segment.name.file_name());
        }
    }
    // One that is merely destroyed still tells by its name how far the stream went.
    while segments.len() > 1
        && let Some(last) = segments.back()
        && segment::open(work.disk, work.dir, last.name)
            .is_ok_and(|file| is_anothers(&*file, last.name))
    {
        pass_over(work, last.name);
        segments.pop_back();
    }
    work.found.segments = segments;
    Ok(())
}

/// Whether a file holds what its name says: by its header, or, where that is damaged, by any
/// intact frame or record.
///
/// One that cannot be read does away with nothing. It is passed over, and the stream goes on
/// behind all that it may hold, so that it is whole if it can be read another day.
fn is_borne_out(work: &mut Work<'_>, segment: Segment) -> io::Result<bool> {
    let name = segment.name;
    let holds = match look_into(work, name) {
        Err(error) if is_no_damage(&error) => return Err(error),
        Err(error) => {
            let file_name = name.file_name();
            work.note(&format!(
                "{file_name} cannot be read: {error}; older segments would give way to it, so it \
                 is passed over, and left there"
            ));
            let end = name.base.saturating_add(records_max(segment.file_bytes)).min(SEQUENCE_END);
            work.found.passed_over_until = end.max(work.found.passed_over_until);
            false
        }
        Ok(true) => true,
        Ok(false) => {
            pass_over(work, name);
            false
        }
    };
    Ok(holds)
}

fn look_into(work: &Work<'_>, name: SegmentName) -> io::Result<bool> {
    let file = segment::open(work.disk, work.dir, name)?;
    match SegmentHeader::read(&*file, name) {
        Ok(_) | Err(HeaderError::Newer(_)) => return Ok(true),
        Err(HeaderError::Damaged | HeaderError::Io(_)) => {}
    }
    let survey = Survey::of(work.disk, work.keys, work.dir, name, u64::MAX)?;
    Ok(survey.scan.claimed_end > name.base && !is_anothers(&*file, name))
}

fn pass_over(work: &mut Work<'_>, name: SegmentName) {
    let file_name = name.file_name();
    work.note(&format!(
        "{file_name} holds nothing that fits its name; it is passed over, and left there"
    ));
}

/// Whether a file has the intact header of a segment of another name.
fn is_anothers(file: &dyn DiskFile, name: SegmentName) -> bool {
    let Some(stated) = SegmentHeader::stated_name(file) else { return false };
    stated != name && SegmentHeader::read(file, stated).is_ok()
}
