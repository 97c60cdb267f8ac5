//! How long to wait before the next connection.
//!
//! After a failure that may pass, the pause lies anywhere between `min` and a ceiling that starts
//! at twice `min` and doubles with each failure up to `max`: full jitter, so that a fleet does not
//! come back in step, above a floor, so that no client id connects faster than the cloud allows.
//! After a refusal (certificate, credentials) the pause is `refused` and up to a fifth more.

use std::time::Duration;

/// A connection that lived this long was a good one: the next failure starts from the bottom.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);
/// Doublings beyond this change nothing, whatever `min` and `max` are.
const DOUBLINGS_MAX: u32 = 32;
/// The part of `refused` that jitter may add.
const REFUSED_SPREAD: u32 = 5;

/// Whether trying again soon makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The trouble may pass by itself.
    Transient,
    /// Somebody has to change something first, here or at the cloud.
    Refused,
}

/// The pauses between connection attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    refused: Duration,
    failures: u32,
}

impl Backoff {
    /// A backoff that starts from the bottom.
    pub fn new(min: Duration, max: Duration, refused: Duration) -> Self {
        Self { min, max: max.max(min), refused, failures: 0 }
    }

    /// The pause after a failure; `connected_for` is how long the connection had lived, `random`
    /// any number.
    pub fn pause(&mut self, pace: Pace, connected_for: Option<Duration>, random: u64) -> Duration {
        if connected_for.is_some_and(|lived| lived >= STABLE_AFTER) {
            self.failures = 0;
        }
        match pace {
            Pace::Refused => spread(self.refused, self.refused / REFUSED_SPREAD, random),
            Pace::Transient => {
                self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
                let ceiling = doubled(self.min, self.failures).min(self.max);
                spread(self.min, ceiling.saturating_sub(self.min), random)
            }
        }
    }
}

fn doubled(base: Duration, times: u32) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(times))
}

/// A moment between `from` and `from + width`, by `random`.
fn spread(from: Duration, width: Duration, random: u64) -> Duration {
    let part = (width.as_nanos().min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
    from.saturating_add(Duration::from_nanos(part as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_mins(2);
    const REFUSED: Duration = Duration::from_mins(15);

    fn backoff() -> Backoff {
        Backoff::new(MIN, MAX, REFUSED)
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_longest_pause_and_stays_there() {
        let mut backoff = backoff();
        let ceilings: Vec<u64> = (0..9)
            .map(|_| backoff.pause(Pace::Transient, None, u64::MAX).as_secs_f64().round() as u64)
            .collect();
        assert_eq!(ceilings, [2, 4, 8, 16, 32, 64, 120, 120, 120]);
    }

    #[test]
    fn a_connection_that_lived_long_starts_from_the_bottom_and_a_short_one_does_not() {
        let mut backoff = backoff();
        for _ in 0..10 {
            backoff.pause(Pace::Transient, None, 0);
        }
        let short = Some(Duration::from_millis(29_999));
        assert!(backoff.pause(Pace::Transient, short, u64::MAX) > Duration::from_secs(119));
        assert!(backoff.pause(Pace::Transient, Some(STABLE_AFTER), u64::MAX) <= 2 * MIN);
    }

    #[test]
    fn a_refusal_waits_long_and_leaves_the_ordinary_pauses_alone() {
        let mut backoff = backoff();
        for random in [0, u64::MAX / 2, u64::MAX] {
            let pause = backoff.pause(Pace::Refused, None, random);
            assert!(pause >= REFUSED && pause <= REFUSED + REFUSED / 5, "{pause:?}");
        }
        assert!(backoff.pause(Pace::Transient, None, u64::MAX) <= 2 * MIN);
    }

    proptest! {
        #[test]
        fn every_pause_lies_between_the_floor_and_the_longest(
            steps in proptest::collection::vec((any::<u64>(), proptest::option::of(0_u64..60)), 1..200),
            min_millis in 1_u64..5_000,
            max_millis in 1_u64..200_000,
        ) {
            let (min, max) = (Duration::from_millis(min_millis), Duration::from_millis(max_millis));
            let mut backoff = Backoff::new(min, max, REFUSED);
            for (random, lived) in steps {
                let pause = backoff.pause(Pace::Transient, lived.map(Duration::from_secs), random);
                prop_assert!(pause >= min && pause <= max.max(min));
            }
        }

        #[test]
        fn no_configuration_overflows(
            min in any::<u64>(), max in any::<u64>(), refused in any::<u64>(), random in any::<u64>(),
        ) {
            let mut backoff = Backoff::new(
                Duration::from_secs(min), Duration::from_secs(max), Duration::from_secs(refused),
            );
            for _ in 0..40 {
                backoff.pause(Pace::Transient, None, random);
                backoff.pause(Pace::Refused, None, random);
            }
        }
    }
}
