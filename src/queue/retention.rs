//! Giving up records: whole segments that are evicted or expired.

use std::time::Duration;

use super::{
    Stamp,
    accounts::Fate,
    clock::age_millis,
    damage,
    disk::is_no_damage,
    frame::RecordView,
    segment::SegmentName,
    state::{Shared, State},
    survey::{Decoded, Survey},
};

/// Whether a record is too old to be sent.
pub(super) fn is_expired(stamp: &Stamp, now: &Stamp, age_max: Duration) -> bool {
    age_millis(stamp, now).is_some_and(|age| u128::from(age) > age_max.as_millis())
}

/// Settles every record of a segment that is not settled yet, each under its own source. False,
/// and nothing is settled, where the segment may not be read, for want of a key or because it is
/// of a later version: it is whole, and can be read another day.
pub(super) fn retire(shared: &Shared, name: SegmentName, fate: Fate) -> bool {
    match damage::examine(shared, name) {
        Ok(Some(survey)) => settle_found(&mut shared.state(), &survey, fate),
        Ok(None) => {}
        Err(error) if is_no_damage(&error) => {
            tracing::error!(
                "{} cannot be read: {error}; it stays, and takes its space",
                shared.dir.join(name.file_name()).display()
            );
            return false;
        }
        Err(error) => {
            tracing::error!(
                "{} cannot be read: {error}; its records are dropped under those sources that \
                 have most queued",
                shared.dir.join(name.file_name()).display()
            );
            settle_unread(&mut shared.state(), name, fate);
        }
    }
    true
}

fn settle_found(state: &mut State, survey: &Survey, fate: Fate) {
    let mut decoded = Decoded::default();
    for found in &survey.scan.records {
        if state.settled.contains(found.sequence) {
            continue;
        }
        let bytes = survey.record(found, &mut decoded);
        if let Some(view) = bytes.as_deref().and_then(RecordView::decode) {
            let source = state.accounts.id(view.source);
            state.settle(found.sequence, source, fate);
        }
    }
    let floor = state.settled.floor();
    state.handed.forget_below(floor);
}

fn settle_unread(state: &mut State, name: SegmentName, fate: Fate) {
    let Some(end) = state.end_of(name) else { return };
    let count = state.settled.open_count(name.base..end);
    state.settled.insert_range(name.base..end);
    state.accounts.settle_damaged(&[], count, fate);
    state.changes += count;
}
