//! Keeps an adapter running: a failed run is followed by another after a growing pause.

use std::time::{Duration, Instant};

use holdfast_adapter_api::{Adapter, AdapterIo};

/// The pause after the first failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// A run of this length was a good one: the next failure counts as the first.
const GOOD_RUN: Duration = Duration::from_mins(1);

/// How long to wait before the next run.
#[derive(Debug, Default)]
struct RestartPolicy {
    failures: u32,
}

impl RestartPolicy {
    fn pause_after(&mut self, ran_for: Duration) -> Duration {
        if ran_for >= GOOD_RUN {
            self.failures = 0;
        }
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures += 1;
        pause
    }
}

/// Runs the adapter until `io.stop` is cancelled or another run makes no sense.
pub(super) async fn supervise(mut adapter: Box<dyn Adapter>, mut io: AdapterIo) {
    let mut policy = RestartPolicy::default();
    while !io.stop.is_cancelled() {
        let started = Instant::now();
        match adapter.run(&mut io).await {
            Ok(()) => return,
            Err(error) if !error.is_worth_a_retry() => {
                tracing::error!("{error}; the adapter stays stopped");
                return;
            }
            Err(error) => {
                let pause = policy.pause_after(started.elapsed());
                tracing::warn!("{error}; trying again in {} s", pause.as_secs());
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = io.stop.cancelled() => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_minute_and_a_good_run_resets_it() {
        let mut policy = RestartPolicy::default();
        let mut pause = |ran| policy.pause_after(Duration::from_secs(ran)).as_secs();
        let pauses: Vec<_> = (0..8).map(|_| pause(0)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(60), 1);
    }
}
