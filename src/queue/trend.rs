//! How a stream fares over time: what its rates are measured by, and since when it is in its
//! condition.

use std::{collections::VecDeque, mem, time::Duration};

use serde::Serialize;

use super::Condition;

/// A sample is kept this often …
const SAMPLE_INTERVAL: Duration = Duration::from_mins(1);
/// … and so many of them: an hour's.
const SAMPLES_MAX: usize = 60;
/// A rate measured over less says nothing.
const SPAN_MIN: Duration = Duration::from_secs(10);

/// What a stream's counters show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) monotonic_millis: u64,
    pub(super) accepted: u64,
    /// Bytes of frames and headers.
    pub(super) log_bytes: u64,
    pub(super) queued_bytes: u64,
    /// Bytes of the pages written.
    pub(super) written_bytes: u64,
}

/// What went through a stream per second, over the last hour or since the queue was opened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Over how many seconds they were measured.
    pub over_seconds: f64,
    /// Records taken in.
    pub accepted_per_second: f64,
    /// What these take on disk.
    pub accepted_bytes_per_second: f64,
    /// By how much the backlog grows; less than zero while it drains.
    pub net_bytes_per_second: f64,
    /// Written to the device, in whole pages.
    pub written_bytes_per_second: f64,
}

/// A stream's recent past.
#[derive(Debug, Default)]
pub(super) struct Trend {
    samples: VecDeque<Sample>,
    condition: Condition,
    entered_millis: Option<u64>,
}

impl Trend {
    /// Takes note of what is; whoever looks more often than a sample is wanted does no harm.
    pub(super) fn observe(&mut self, sample: Sample, condition: &Condition) {
        let now = sample.monotonic_millis;
        if self.entered_millis.is_none()
            || mem::discriminant(condition) != mem::discriminant(&self.condition)
        {
            self.entered_millis = Some(now);
            self.condition = condition.clone();
        }
        let due = |last: &Sample| {
            now.saturating_sub(last.monotonic_millis) >= SAMPLE_INTERVAL.as_millis() as u64
        };
        if self.samples.back().is_none_or(due) {
            if self.samples.len() == SAMPLES_MAX {
                self.samples.pop_front();
            }
            self.samples.push_back(sample);
        }
    }

    /// For how long the condition has been what it is, to about a second.
    pub(super) fn condition_millis(&self, now_millis: u64) -> u64 {
        self.entered_millis.map_or(0, |entered| now_millis.saturating_sub(entered))
    }

    /// The rates up to now; none before they can be told.
    pub(super) fn rates(&self, now: &Sample) -> Option<Rates> {
        let first = self.samples.front()?;
        let span = now.monotonic_millis.checked_sub(first.monotonic_millis)?;
        if u128::from(span) < SPAN_MIN.as_millis() {
            return None;
        }
        let over_seconds = span as f64 / 1e3;
        let rate = |then: u64, now: u64| (now as f64 - then as f64) / over_seconds;
        Some(Rates {
            over_seconds,
            accepted_per_second: rate(first.accepted, now.accepted),
            accepted_bytes_per_second: rate(first.log_bytes, now.log_bytes),
            net_bytes_per_second: rate(first.queued_bytes, now.queued_bytes),
            written_bytes_per_second: rate(first.written_bytes, now.written_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: u64, accepted: u64, queued_bytes: u64) -> Sample {
        Sample {
            monotonic_millis: seconds * 1000,
            accepted,
            log_bytes: accepted * 100,
            queued_bytes,
            written_bytes: accepted * 4096,
        }
    }

    #[test]
    fn rates_are_those_since_the_start_before_an_hour_has_passed() {
        let mut trend = Trend::default();
        trend.observe(sample(1000, 50, 0), &Condition::Healthy);
        assert_eq!(trend.rates(&sample(1009, 60, 0)), None, "too short a time tells nothing");
        let rates = trend.rates(&sample(1020, 70, 500)).unwrap();
        assert_eq!(
            rates,
            Rates {
                over_seconds: 20.0,
                accepted_per_second: 1.0,
                accepted_bytes_per_second: 100.0,
                net_bytes_per_second: 25.0,
                written_bytes_per_second: 4096.0,
            }
        );
    }

    #[test]
    fn rates_are_those_of_the_last_hour_and_no_more_than_an_hour_is_kept() {
        let mut trend = Trend::default();
        // Ten a second for two hours, then none for an hour.
        for second in 0..3 * 3600 {
            let now = sample(second, second.min(7200) * 10, 1_000_000);
            trend.observe(now, &Condition::Healthy);
        }
        assert_eq!(trend.samples.len(), SAMPLES_MAX);
        let rates = trend.rates(&sample(3 * 3600, 72_000, 640_000)).unwrap();
        assert_eq!((rates.over_seconds, rates.accepted_per_second), (3600.0, 0.0));
        assert_eq!(rates.net_bytes_per_second, -100.0);
    }

    #[test]
    fn a_condition_lasts_until_another_begins_whatever_its_detail_says() {
        let mut trend = Trend::default();
        let failing = |detail: &str| Condition::WriteFailing(detail.to_owned());
        trend.observe(sample(10, 0, 0), &Condition::Healthy);
        trend.observe(sample(20, 0, 0), &failing("a"));
        trend.observe(sample(30, 0, 0), &failing("b"));
        assert_eq!(trend.condition_millis(35_000), 15_000);
        trend.observe(sample(40, 0, 0), &Condition::Healthy);
        assert_eq!(trend.condition_millis(40_000), 0);
    }
}
