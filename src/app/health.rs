//! Whether the gateway does its work: the probe that feeds systemd's watchdog.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::{broker::Broker, queue::Queue};

/// How often the probe runs where no watchdog asks for another rhythm.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How long one probe of the broker may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A number that goes on changing while its owner is alive.
pub(super) type Heartbeat = Arc<AtomicU64>;

/// What the probe looks at.
pub(super) struct Health {
    broker: Arc<Broker>,
    queue: Queue,
    uplink: Option<Heartbeat>,
    queue_seen: Option<u64>,
    uplink_seen: Option<u64>,
}

impl Health {
    pub(super) fn new(broker: Arc<Broker>, queue: Queue, uplink: Option<Heartbeat>) -> Self {
        Self { broker, queue, uplink, queue_seen: None, uplink_seen: None }
    }

    /// Probes until `stop`; the watchdog is fed only after a probe in which every part showed
    /// that it is alive.
    pub(super) async fn watch(mut self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(interval());
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = stop.cancelled() => return,
            }
            match self.probe().await {
                Ok(()) => notify(&[NotifyState::Watchdog]),
                Err(what) => tracing::error!("{what}; the watchdog is not fed"),
            }
        }
    }

    /// What first shows no sign of life.
    async fn probe(&mut self) -> Result<(), String> {
        self.broker.probe(PROBE_TIMEOUT).await.map_err(|error| error.to_string())?;
        if !advanced(&mut self.queue_seen, self.queue.heartbeat()) {
            return Err("the queue's commit thread stands still".to_owned());
        }
        if let Some(uplink) = &self.uplink
            && !advanced(&mut self.uplink_seen, uplink.load(Ordering::Relaxed))
        {
            return Err("the uplink stands still".to_owned());
        }
        Ok(())
    }
}

/// Whether a heartbeat has changed since it was last seen; the first look only takes note.
fn advanced(seen: &mut Option<u64>, now: u64) -> bool {
    seen.replace(now) != Some(now)
}

/// Half the watchdog's time, as systemd recommends, so that one slow probe is forgiven.
fn interval() -> Duration {
    let mut usec = 0;
    if sd_notify::watchdog_enabled(false, &mut usec) && usec > 0 {
        Duration::from_micros(usec) / 2
    } else {
        PROBE_INTERVAL
    }
}

/// Tells systemd, where there is one.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::warn!("cannot tell systemd: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_stands_still_is_no_sign_of_life() {
        let mut seen = None;
        assert!(advanced(&mut seen, 0), "nothing is known yet");
        assert!(!advanced(&mut seen, 0));
        assert!(advanced(&mut seen, 1));
    }
}
