//! The state of a stream whose cursor is lost, from its segments alone.

use std::io;

use super::assess::Work;
use crate::{accounts::Accounts, settled::Settled};

/// Everything on disk counts as queued, so that nothing is lost and some is sent twice. What
/// came before the oldest segment was settled; the newest header says how, as far as it knew,
/// and the rest counts as delivered.
pub(super) fn without_cursor(work: &mut Work<'_>, slot_damaged: bool) -> io::Result<()> {
    let names: Vec<_> = work.found.segments.iter().map(|segment| segment.name).collect();
    let Some(first) = names.first() else {
        if slot_damaged {
            work.note("the cursor is lost and there are no segments; numbering begins anew");
        }
        return Ok(());
    };
    work.note("the cursor is lost; everything on disk is sent, some of it for a second time");
    work.found.settled = Settled::below(first.base);
    let mut known = first.base;
    let mut accounts = Accounts::default();
    for name in names.iter().rev() {
        if let Some(header) = work.header(*name)? {
            (known, accounts) = (name.base, header.accounts);
            break;
        }
    }
    work.found.accounts = accounts;
    let mut queued = Vec::new();
    let mut damaged = 0;
    for (number, name) in names.iter().enumerate() {
        let limit = names.get(number + 1).map_or(u64::MAX, |next| next.base);
        work.found.next = name.base;
        let Some(survey) = work.survey(*name, limit)? else { continue };
        let (end, torn) = match limit {
            u64::MAX => work.end_of_last(&survey, name.base),
            _ => (limit, None),
        };
        for (source, count) in survey.by_source(|_| true) {
            let id = usize::from(work.found.accounts.id(&source));
            if queued.len() <= id {
                queued.resize(id + 1, 0);
            }
            queued[id] += count;
        }
        work.found.next = end;
        if name.base >= known {
            work.count_behind(&survey, name.base..end, Vec::new(), torn.as_ref());
        } else {
            let gaps = survey.scan.gaps(name.base, end);
            for gap in &gaps {
                damaged += gap.sequences.end - gap.sequences.start;
                work.found.settled.insert_range(gap.sequences.clone());
            }
            work.cut_out(&survey, &gaps, torn.as_ref());
        }
    }
    let found = &mut work.found;
    let mut settled = found.accounts.accepted_by_source();
    for (count, queued) in settled.iter_mut().zip(queued) {
        *count = count.saturating_sub(queued);
    }
    found.accounts.force_settled(&settled, damaged);
    Ok(())
}
