//! Token buckets: how fast messages and bytes may go up.
//!
//! A bucket holds at most a quarter of a second's tokens. With the rates of a profile, which are
//! four fifths of what the cloud allows, no second ever sees more than the cloud's limit: 0.25 of
//! the rate from a full bucket and 1.0 of refill make 1.25 × 0.8.

use std::time::{Duration, Instant};

/// The part of a second that a full bucket is worth.
const BURST: f64 = 0.25;

/// One bucket. A cost larger than the bucket may be taken when the bucket is full and leaves it
/// in debt, so that a large message is slow but not stuck.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(per_second: u64, now: Instant) -> Self {
        let per_second = per_second.max(1) as f64;
        let burst = (per_second * BURST).max(1.0);
        Self { per_second, burst, tokens: burst, filled: now }
    }

    /// How long until `cost` may be taken; zero when it may be taken now.
    pub fn wait(&mut self, cost: u64, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        let missing = (cost as f64).min(self.burst) - self.tokens;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        // A nanosecond more, so that rounding never ends in a wait of zero that is none.
        Duration::try_from_secs_f64(missing / self.per_second)
            .unwrap_or(Duration::MAX)
            .saturating_add(Duration::from_nanos(1))
    }

    /// Takes `cost`. Ask [`Bucket::wait`] first.
    pub fn take(&mut self, cost: u64) {
        self.tokens -= cost as f64;
    }
}

/// The rates of the uplink, which outlive its connections.
#[derive(Debug, Clone, Default)]
pub struct Throttle {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Throttle {
    /// A throttle for these rates; `None` is unlimited.
    pub fn new(
        messages_per_second: Option<u32>,
        bytes_per_second: Option<u64>,
        now: Instant,
    ) -> Self {
        Self {
            messages: messages_per_second.map(|rate| Bucket::new(rate.into(), now)),
            bytes: bytes_per_second.map(|rate| Bucket::new(rate, now)),
        }
    }

    /// Lets one message of this many bytes pass, or says how long it has to wait.
    pub fn admit(&mut self, bytes: u64, now: Instant) -> Result<(), Duration> {
        let wait = |bucket: &mut Option<Bucket>, cost| {
            bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.wait(cost, now))
        };
        let wait = wait(&mut self.messages, 1).max(wait(&mut self.bytes, bytes));
        if !wait.is_zero() {
            return Err(wait);
        }
        for (bucket, cost) in [(&mut self.messages, 1), (&mut self.bytes, bytes)] {
            if let Some(bucket) = bucket {
                bucket.take(cost);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
