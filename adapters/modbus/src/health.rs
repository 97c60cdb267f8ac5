//! Whether a device is well, and when one that is not is tried again.

use std::time::{Duration, Instant};

/// The pause between probes grows up to this many times `probe_interval`.
const PAUSE_GROWTH_MAX: u32 = 10;

/// The limits of patience with a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) offline_after: u32,
    pub(crate) probe_interval: Duration,
}

/// The state of one device.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    patience: Patience,
    failures: u32,
    /// Set once it is given up: when it is probed next, and the pause after that.
    offline: Option<(Instant, Duration)>,
    ever_answered: bool,
}

impl Health {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, failures: 0, offline: None, ever_answered: false }
    }

    /// Whether its last poll was answered, so that a failure is worth trying again at once.
    pub(crate) fn is_well(&self) -> bool {
        self.failures == 0 && self.ever_answered
    }

    /// Whether it is given up.
    pub(crate) fn is_offline(&self) -> bool {
        self.offline.is_some()
    }

    /// When a device that is given up is to be probed.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        self.offline.map(|(at, _)| at)
    }

    /// It answered. Returns whether it had been given up.
    pub(crate) fn answered(&mut self) -> bool {
        self.failures = 0;
        self.ever_answered = true;
        self.offline.take().is_some()
    }

    /// A poll or probe brought no answer. Returns whether it is given up by this.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let longest = self.patience.probe_interval * PAUSE_GROWTH_MAX;
        match &mut self.offline {
            Some((at, pause)) => {
                *pause = (*pause * 2).min(longest);
                *at = now + *pause;
                false
            }
            None if self.failures >= self.patience.offline_after => {
                self.give_up(now);
                true
            }
            None => false,
        }
    }

    /// Its line is lost: there is no point in polling it.
    pub(crate) fn give_up(&mut self, now: Instant) {
        let pause = self.patience.probe_interval;
        self.offline.get_or_insert((now + pause, pause));
    }

    /// Its line is back: a device that is given up is probed now.
    pub(crate) fn probe_now(&mut self, now: Instant) {
        if let Some((at, pause)) = &mut self.offline {
            *at = now;
            *pause = self.patience.probe_interval / 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { offline_after: 3, probe_interval: Duration::from_secs(30) };

    #[test]
    fn a_device_is_given_up_after_so_many_failures_and_well_after_one_answer() {
        let (mut health, now) = (Health::new(PATIENCE), Instant::now());
        assert!(!health.is_well(), "a device that never answered is not worth a retry");
        health.answered();
        assert!(health.is_well());
        assert!(!health.failed(now));
        assert!(!health.failed(now));
        assert!(!health.is_offline());
        assert!(health.failed(now));
        assert!(health.is_offline());
        assert!(health.answered());
        assert!(health.is_well());
    }

    #[test]
    fn probes_grow_rarer_up_to_a_bound() {
        let (mut health, now) = (Health::new(PATIENCE), Instant::now());
        for _ in 0..3 {
            health.failed(now);
        }
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pauses.push((health.probe_at().unwrap() - now).as_secs());
            health.failed(now);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 300, 300]);
    }

    #[test]
    fn when_the_line_is_back_its_devices_are_probed_at_once() {
        let (mut health, now) = (Health::new(PATIENCE), Instant::now());
        health.give_up(now);
        health.probe_now(now);
        assert_eq!(health.probe_at(), Some(now));
        health.failed(now);
        assert_eq!(health.probe_at(), Some(now + PATIENCE.probe_interval));
    }
}
