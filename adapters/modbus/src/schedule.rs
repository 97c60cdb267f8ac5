//! When devices are due: a grid of slots per device, on the monotonic clock.
//!
//! Slots are multiples of the interval from a fixed origin, so a late poll delays no later one
//! and nothing drifts. Devices of one interval are staggered over it. The first poll is due at
//! once, whatever the grid.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// The slots of one device.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    origin: Instant,
    interval: Duration,
    due: Instant,
}

impl Schedule {
    /// The slots of the device with this index among `devices`.
    pub(crate) fn start(now: Instant, interval: Duration, index: usize, devices: usize) -> Self {
        let shift = interval.mul_f64(index as f64 / devices.max(1) as f64);
        Self { origin: now + shift, interval, due: now }
    }

    /// When the device is due.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Takes the slot that is due and every other one that has passed; the next one is then in
    /// the future. Returns how many were missed.
    pub(crate) fn advance(&mut self, now: Instant) -> u64 {
        let next = match now.checked_duration_since(self.origin) {
            None => self.origin,
            Some(since) => {
                let into_slot = since.as_nanos() % self.interval.as_nanos().max(1);
                let left = self.interval.as_nanos() - into_slot;
                now + Duration::from_nanos(left as u64)
            }
        };
        let skipped = next.saturating_duration_since(self.due).as_nanos();
        let slots = skipped / self.interval.as_nanos().max(1);
        self.due = next;
        u64::try_from(slots).unwrap_or(u64::MAX).saturating_sub(1)
    }
}
