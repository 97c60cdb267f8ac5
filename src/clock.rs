//! The gateway's clocks: wall time with a judgement of it, and monotonic time with its boot.

use std::{
    path::Path,
    sync::atomic::{AtomicI64, AtomicU8, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use holdfast_adapter_api::{Clock, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use crate::queue::{self, Stamp};

/// No gateway of this release ran before 2026-11-01T00:00:00Z: a clock that says so is wrong.
const EARLIEST_MILLIS: i64 = 1_793_491_200_000;

/// How long a judgement of the wall clock is reused.
const JUDGEMENT_MILLIS: i64 = 1_000;

/// systemd-timesyncd's folder, and the file in it that says that the clock was set from the net.
const TIMESYNC: &str = "/run/systemd/timesync";

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    boot: u64,
    judged_at: AtomicI64,
    judgement: AtomicU8,
}

impl SystemClock {
    /// The clocks of this boot.
    pub fn new() -> Self {
        Self { boot: boot(), judged_at: AtomicI64::new(i64::MIN), judgement: AtomicU8::new(0) }
    }

    /// This moment on all clocks.
    pub fn stamp(&self) -> Stamp {
        let now = Clock::now(self);
        Stamp {
            boot: self.boot,
            monotonic_millis: monotonic_millis(),
            wall_millis: now.unix_millis,
            wall_trusted: now.trusted,
        }
    }

    /// Judges the wall clock, at most once in [`JUDGEMENT_MILLIS`].
    fn trusted(&self, wall_millis: i64) -> bool {
        let monotonic = monotonic_millis() as i64;
        let judged_at = self.judged_at.load(Ordering::Relaxed);
        if monotonic.saturating_sub(judged_at) >= JUDGEMENT_MILLIS {
            let trusted = is_plausible(wall_millis) && is_synchronised(Path::new(TIMESYNC));
            self.judgement.store(u8::from(trusted), Ordering::Relaxed);
            self.judged_at.store(monotonic, Ordering::Relaxed);
        }
        self.judgement.load(Ordering::Relaxed) == 1
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl queue::Clock for SystemClock {
    fn now(&self) -> Stamp {
        self.stamp()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let unix_millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        };
        Timestamp { unix_millis, trusted: self.trusted(unix_millis) }
    }
}

/// Milliseconds since boot, time asleep included.
pub fn monotonic_millis() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000
}

/// A number for this boot: the kernel's boot id, or a random one where there is none, so that
/// monotonic times are never compared across boots by mistake.
fn boot() -> u64 {
    let id = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = id.iter().filter(|b| b.is_ascii_hexdigit()).map(|b| *b as char).collect();
    digits
        .get(..16)
        .and_then(|first| u64::from_str_radix(first, 16).ok())
        .unwrap_or_else(|| getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())))
}

fn is_plausible(wall_millis: i64) -> bool {
    wall_millis >= EARLIEST_MILLIS
}

/// Where systemd-timesyncd runs, its word decides; elsewhere a plausible clock is believed.
fn is_synchronised(timesync: &Path) -> bool {
    !timesync.exists() || timesync.join("synchronized").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_this_release_is_not_believed() {
        assert!(!is_plausible(0));
        assert!(!is_plausible(EARLIEST_MILLIS - 1));
        assert!(is_plausible(EARLIEST_MILLIS));
    }

    #[test]
    fn a_running_timesyncd_decides_whether_the_clock_is_right() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_synchronised(&dir.path().join("absent")));
        assert!(!is_synchronised(dir.path()));
        std::fs::write(dir.path().join("synchronized"), "").unwrap();
        assert!(is_synchronised(dir.path()));
    }

    #[test]
    fn stamps_of_one_boot_share_its_number_and_go_forward() {
        let clock = SystemClock::new();
        let (a, b) = (clock.stamp(), clock.stamp());
        assert_eq!(a.boot, b.boot);
        assert_eq!(a.boot, SystemClock::new().boot);
        assert!(b.monotonic_millis >= a.monotonic_millis);
    }
}
