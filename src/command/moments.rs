//! Where the inbox gets the time from: both clocks at once.

use std::{fs, sync::Arc};

use holdfast_adapter_api::Clock;
use rustix::time::{ClockId, clock_gettime};

use crate::queue::Stamp;

/// Something that stamps a moment on both clocks.
pub trait Moments: Send + Sync {
    /// Now.
    fn now(&self) -> Stamp;
}

/// The machine's own clocks: the boot clock, which goes on through suspend, and the gateway's
/// wall clock.
pub struct SystemMoments {
    clock: Arc<dyn Clock>,
    boot: u64,
}

impl std::fmt::Debug for SystemMoments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemMoments").field("boot", &self.boot).finish_non_exhaustive()
    }
}

impl SystemMoments {
    /// Reads which boot this is. A machine that cannot tell gets a new number at every start, by
    /// which commands from before count as from another boot.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, boot: boot_id().unwrap_or_else(random_id) }
    }
}

impl Moments for SystemMoments {
    fn now(&self) -> Stamp {
        let wall = self.clock.now();
        let boot_time = clock_gettime(ClockId::Boottime);
        let millis = boot_time.tv_sec as u64 * 1_000 + boot_time.tv_nsec as u64 / 1_000_000;
        Stamp {
            boot: self.boot,
            monotonic_millis: millis,
            wall_millis: wall.unix_millis,
            wall_trusted: wall.trusted,
        }
    }
}

/// The first 64 bits of the kernel's boot id.
fn boot_id() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).ok()
}

fn random_id() -> u64 {
    // Without randomness every start counts as the same boot 0, and the monotonic clock, which
    // then went back after a real reboot, still gives an old command away.
    getrandom::u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use holdfast_adapter_api::Timestamp;

    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp { unix_millis: 5, trusted: true }
        }
    }

    #[test]
    fn two_moments_of_one_boot_are_in_order_and_bear_its_name() {
        let first = SystemMoments::new(Arc::new(Fixed)).now();
        let second = SystemMoments::new(Arc::new(Fixed)).now();
        assert_eq!(first.boot, second.boot);
        assert_ne!(first.boot, 0);
        assert!(second.monotonic_millis >= first.monotonic_millis && first.monotonic_millis > 0);
        assert_eq!((first.wall_millis, first.wall_trusted), (5, true));
    }
}
