//! What time it is, as far as that is known.

use std::fmt;

use super::Stamp;

/// A source of stamps.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment on both clocks.
    fn now(&self) -> Stamp;
}

/// How long before `now` a stamp was made; `None` where that cannot be known.
pub(super) fn age_millis(stamp: &Stamp, now: &Stamp) -> Option<u64> {
    // Boot 0 means that the boot could not be told.
    if stamp.boot == now.boot && now.boot != 0 {
        return Some(now.monotonic_millis.saturating_sub(stamp.monotonic_millis));
    }
    (stamp.wall_trusted && now.wall_trusted)
        .then(|| now.wall_millis.saturating_sub(stamp.wall_millis).max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: u64, monotonic_millis: u64, wall_millis: i64, wall_trusted: bool) -> Stamp {
        Stamp { boot, monotonic_millis, wall_millis, wall_trusted }
    }

    #[test]
    fn within_one_boot_a_jump_of_the_wall_clock_does_not_age_a_record() {
        let old = stamp(7, 1_000, 0, false);
        assert_eq!(age_millis(&old, &stamp(7, 3_000, 1_800_000_000_000, true)), Some(2_000));
    }

    #[test]
    fn across_boots_the_age_is_known_only_when_both_walls_are_trusted() {
        let old = stamp(7, 1_000, 1_800_000_000_000, true);
        assert_eq!(age_millis(&old, &stamp(8, 5, 1_800_000_060_000, true)), Some(60_000));
        assert_eq!(age_millis(&old, &stamp(8, 5, 1_800_000_060_000, false)), None);
        assert_eq!(age_millis(&stamp(7, 1, 5, false), &stamp(8, 5, 1_800_000_060_000, true)), None);
    }
}
