//! The uplink: one connection after another, for as long as the gateway lives.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{command::CommandSink, config};

use super::{
    backlog::{Backlog, Outbound},
    backoff::{Backoff, Pace},
    caution::Caution,
    departures::Departures,
    downlink::Downlink,
    failure::Failure,
    link::Link,
    problem::UplinkConfigError,
    session::{Parts, Session},
    settings::{Fingerprint, Settings},
    status::{Reporter, State, Status},
    window::Ticket,
};

/// How long a stopping uplink waits for the command sink to finish what it has.
const SINK_GRACE: Duration = Duration::from_secs(5);
/// How often the certificate files are looked at while the cloud refuses them.
const FILES_INTERVAL: Duration = Duration::from_secs(2);
/// The longest time without a beat.
const BEAT_INTERVAL: Duration = Duration::from_millis(500);

/// The one connection to the cloud.
pub struct Uplink<B = Outbound> {
    settings: Arc<Settings>,
    departures: Departures<B>,
    backoff: Backoff,
    caution: Caution,
    report: Reporter,
    /// What the certificate files were like before the last attempt.
    files: Vec<Fingerprint>,
    sink: Arc<dyn CommandSink>,
    /// The failure that was last told, so that one that repeats is told once.
    told: Option<String>,
}

impl<B> std::fmt::Debug for Uplink<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uplink").field("address", &self.settings.address).finish_non_exhaustive()
    }
}

impl<B: Backlog> Uplink<B> {
    /// Checks the configuration and the files it names. Reads files, connects nowhere.
    pub fn new(
        config: &config::Uplink,
        gateway: &str,
        commands: &config::Commands,
        streams: Vec<B>,
        sink: Arc<dyn CommandSink>,
    ) -> Result<Self, UplinkConfigError> {
        let settings = Settings::new(config, gateway, commands)?;
        let now = now();
        Ok(Self {
            departures: Departures::new(streams, &settings, now),
            backoff: Backoff::new(
                settings.backoff_min,
                settings.backoff_max,
                settings.backoff_refused,
            ),
            caution: Caution::default(),
            report: Reporter::new(now),
            files: Vec::new(),
            settings: Arc::new(settings),
            sink,
            told: None,
        })
    }

    /// What the uplink is doing, and what it did.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.report.subscribe()
    }

    /// A number that changes at least every second while the uplink is alive, whether or not it
    /// is connected.
    pub fn heartbeat(&self) -> Arc<AtomicU64> {
        self.report.heartbeat()
    }

    /// Keeps a connection until `stop`; then waits for what is in flight, within bounds, and
    /// takes leave of the cloud.
    pub async fn run(&mut self, stop: CancellationToken) {
        let downlink = Downlink::start(Arc::clone(&self.sink));
        while !stop.is_cancelled() {
            let mut connected_at = None;
            let failure = match self.connect_and_serve(&downlink, &stop, &mut connected_at).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            let lived = connected_at.map(|at| now().saturating_duration_since(at));
            self.back_off(&failure, lived, &stop).await;
        }
        if tokio::time::timeout(SINK_GRACE, downlink.finish()).await.is_err() {
            tracing::warn!("commands that were not kept yet are left to the cloud");
        }
        self.report.enter(State::Disconnected, now());
    }

    /// One connection, from DNS to its end; `Ok` when the uplink is stopping.
    async fn connect_and_serve(
        &mut self,
        downlink: &Downlink,
        stop: &CancellationToken,
        connected_at: &mut Option<Instant>,
    ) -> Result<(), Failure> {
        self.report.enter(State::Connecting, now());
        self.files = self.fingerprints().await;
        let connecting = connect(Arc::clone(&self.settings));
        tokio::pin!(connecting);
        let link = loop {
            tokio::select! {
                link = &mut connecting => break link?,
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(BEAT_INTERVAL) => self.report.beat(now()),
            }
        };
        *connected_at = Some(now());
        self.told = None;
        self.report.counts().connections += 1;
        self.report.enter(State::Connected, now());
        tracing::info!(
            host = self.settings.address.host,
            port = self.settings.address.port,
            session_kept = link.session_present(),
            "connected to the cloud"
        );
        let parts = Parts {
            settings: &self.settings,
            departures: &mut self.departures,
            report: &mut self.report,
            arrivals: downlink.arrivals(),
        };
        let (result, end) = Session::new(parts, link, &self.caution).run(stop).await;
        if let Some(ticket) = self.caution.learn(end) {
            self.set_aside(ticket);
        }
        result
    }

    fn set_aside(&mut self, ticket: Ticket) {
        self.departures.set_aside(ticket, now());
        self.report.counts().set_aside += 1;
        tracing::error!(
            stream = self.departures.stream_name(ticket),
            sequence = ticket.sequence,
            bytes = ticket.bytes,
            "each time this message is sent, the cloud closes the connection; it is set aside for \
             an hour or more, so that others can go; check whether the cloud allows this gateway \
             to publish to its topic"
        );
    }

    async fn back_off(
        &mut self,
        failure: &Failure,
        lived: Option<Duration>,
        stop: &CancellationToken,
    ) {
        // Without entropy there is no jitter; the gateway connects nevertheless.
        let random = getrandom::u64().unwrap_or(0);
        let pace = failure.pace();
        let pause = self.backoff.pause(pace, lived, random);
        self.tell(failure, pause);
        let until = now().checked_add(pause).unwrap_or_else(now);
        let state = match pace {
            Pace::Transient => State::BackingOff { until },
            Pace::Refused => State::Refused { until },
        };
        self.report.enter(state, now());
        let mut looked = now();
        while now() < until {
            if pace == Pace::Refused && looked.elapsed() >= FILES_INTERVAL {
                looked = now();
                if self.fingerprints().await != self.files {
                    tracing::info!("a file of the uplink's has changed: connecting with it");
                    return;
                }
            }
            let nap = until.saturating_duration_since(now()).min(BEAT_INTERVAL);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(nap) => self.report.beat(now()),
            }
        }
    }

    async fn fingerprints(&self) -> Vec<Fingerprint> {
        let settings = Arc::clone(&self.settings);
        // It fails only when the runtime is going down.
        tokio::task::spawn_blocking(move || settings.fingerprints()).await.unwrap_or_default()
    }

    fn tell(&mut self, failure: &Failure, pause: Duration) {
        let remedy = failure.remedy(&self.settings);
        let text = match &remedy {
            Some(remedy) => format!("{failure}; {remedy}"),
            None => failure.to_string(),
        };
        self.report.counts().last_error = Some(text.as_str().into());
        let (host, port) = (&self.settings.address.host, self.settings.address.port);
        if self.told.as_ref() == Some(&text) {
            tracing::debug!(host, port, ?pause, "no connection to the cloud: {text}");
        } else if failure.pace() == Pace::Refused {
            tracing::error!(host, port, ?pause, "no connection to the cloud: {text}");
        } else {
            tracing::warn!(host, port, ?pause, "no connection to the cloud: {text}");
        }
        self.told = Some(text);
    }
}

async fn connect(settings: Arc<Settings>) -> Result<Link, Failure> {
    let timeout = settings.connect_timeout;
    let connecting = async move {
        let options = tokio::task::spawn_blocking(move || settings.options())
            .await
            .map_err(|error| Failure::Protocol(error.to_string()))??;
        Link::connect(options).await
    };
    tokio::time::timeout(timeout, connecting).await.unwrap_or(Err(Failure::ConnectTimeout(timeout)))
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
