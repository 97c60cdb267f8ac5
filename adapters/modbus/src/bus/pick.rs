//! Which device is next.

use std::time::{Duration, Instant};

/// What there is to decide by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) due: Instant,
    /// Whether it is given up, and this is but a probe.
    pub(super) probe: bool,
}

/// The device to read now: the one that has been due for longest. Devices that are given up wait
/// while others are due, unless they have waited for `patience`.
pub(super) fn pick(
    now: Instant,
    patience: Duration,
    candidates: impl Iterator<Item = Candidate>,
) -> Option<usize> {
    candidates
        .enumerate()
        .filter(|(_, candidate)| candidate.due <= now)
        .min_by_key(|(_, Candidate { due, probe })| {
            (*probe && now.duration_since(*due) < patience, *due)
        })
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn ago(now: Instant, seconds: u64, probe: bool) -> Candidate {
        Candidate { due: now.checked_sub(Duration::from_secs(seconds)).unwrap(), probe }
    }

    #[test]
    fn the_device_that_waits_longest_is_next() {
        let now = Instant::now();
        let devices = [ago(now, 1, false), ago(now, 3, false), ago(now, 2, false)];
        assert_eq!(pick(now, PATIENCE, devices.into_iter()), Some(1));
        assert_eq!(pick(now, PATIENCE, [].into_iter()), None);
    }

    #[test]
    fn a_probe_waits_for_reads_but_not_for_ever() {
        let now = Instant::now();
        let devices = [ago(now, 20, true), ago(now, 1, false)];
        assert_eq!(pick(now, PATIENCE, devices.into_iter()), Some(1));
        let devices = [ago(now, 31, true), ago(now, 1, false)];
        assert_eq!(pick(now, PATIENCE, devices.into_iter()), Some(0));
    }

    #[test]
    fn nothing_is_next_before_it_is_due() {
        let now = Instant::now();
        let later = Candidate { due: now + Duration::from_millis(1), probe: false };
        assert_eq!(pick(now, PATIENCE, std::iter::once(later)), None);
    }
}
