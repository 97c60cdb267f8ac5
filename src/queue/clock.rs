//! What time it is, as far as that is known.

use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::time::ClockId;

use super::Stamp;

/// A wall clock that shows an earlier moment (2025-01-01T00:00:00Z) was never set.
const WALL_PLAUSIBLE_MILLIS: i64 = 1_735_689_600_000;

/// A source of stamps.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment on both clocks.
    fn now(&self) -> Stamp;
}

/// The machine's clocks. The wall clock is trusted once it shows a moment after this program
/// was written.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    boot: u64,
}

impl SystemClock {
    /// Reads which boot this is.
    pub fn new() -> Self {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        Self { boot: u64::from_str_radix(&digits, 16).unwrap_or(0) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        let monotonic = rustix::time::clock_gettime(ClockId::Boottime);
        let wall_millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Stamp {
            boot: self.boot,
            monotonic_millis: monotonic.tv_sec as u64 * 1_000
                + monotonic.tv_nsec as u64 / 1_000_000,
            wall_millis,
            wall_trusted: wall_millis >= WALL_PLAUSIBLE_MILLIS,
        }
    }
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

    #[test]
    fn the_system_clock_does_not_run_backwards() {
        let clock = SystemClock::new();
        let first = clock.now();
        let second = clock.now();
        assert_eq!(first.boot, second.boot);
        assert!(second.monotonic_millis >= first.monotonic_millis);
    }
}
