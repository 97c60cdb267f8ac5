//! The driver: between the cloud, the inbox and the state store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use holdfast_adapter_api::{DeviceName, PendingCommand};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    CommandCounts, CommandSink, Persisting, SinkError,
    counts::Counters,
    entry::{Entry, Moment, Stage},
    inbox::{Admission, Inbox},
    lanes,
    outcome::{self, Report, Status, Subject},
    parse::{self, Malformed, Parsed},
};
use crate::{
    broker::{Message, QoS},
    config,
    ingest::{Door, Source, Verdict},
    queue::{Clock, Refusal},
    state::{State, Table},
};

/// How soon something that could not be done is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the cloud's first command waits for the inbox to be read from disk.
const RESTORE_WAIT: Duration = Duration::from_secs(10);
/// An entry must fit into the state store.
const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// The commands of the gateway; cheap to clone.
#[derive(Clone)]
pub struct Commands(Arc<Shared>);

pub(super) struct Shared {
    pub(super) lanes: HashMap<DeviceName, Lane>,
    pub(super) publishing: Notify,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) door: Arc<dyn Door>,
    pub(super) retry_pause: Duration,
    counters: Counters,
    expires_after: Duration,
    outcome_topic: Arc<str>,
    gateway: String,
    source: Source,
    pub(super) state: State,
    pub(super) entries: Table,
    pub(super) seen: Table,
    inbox: Mutex<Inbox>,
    pub(super) epoch: watch::Sender<Option<u64>>,
    accepting: tokio::sync::Mutex<()>,
    leaving: tokio::sync::Mutex<()>,
}

/// The way to one device.
pub(super) struct Lane {
    pub(super) adapter: mpsc::Sender<PendingCommand>,
    pub(super) wake: Notify,
}

/// The gateway is going down; what is left to do is done after the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopping;

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commands").field("gateway", &self.0.gateway).finish_non_exhaustive()
    }
}

impl Commands {
    /// The commands of this gateway. Nothing is read or carried out before [`Commands::run`].
    ///
    /// `adapters` maps each device to the channel of the adapter it is behind.
    pub fn new(
        config: &config::Commands,
        gateway_id: &str,
        state: &State,
        door: Arc<dyn Door>,
        adapters: HashMap<DeviceName, mpsc::Sender<PendingCommand>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::with_pause(config, gateway_id, state, door, adapters, clock, RETRY_PAUSE)
    }

    pub(super) fn with_pause(
        config: &config::Commands,
        gateway_id: &str,
        state: &State,
        door: Arc<dyn Door>,
        adapters: HashMap<DeviceName, mpsc::Sender<PendingCommand>>,
        clock: Arc<dyn Clock>,
        retry_pause: Duration,
    ) -> Self {
        let lane = |adapter| Lane { adapter, wake: Notify::new() };
        Self(Arc::new(Shared {
            lanes: adapters.into_iter().map(|(device, adapter)| (device, lane(adapter))).collect(),
            publishing: Notify::new(),
            clock,
            door,
            retry_pause,
            counters: Counters::default(),
            expires_after: config.expires_after,
            outcome_topic: config.outcome.replace("{gateway}", gateway_id).into(),
            gateway: gateway_id.to_owned(),
            source: Source("gateway".into()),
            state: state.clone(),
            entries: state.table("commands.inbox"),
            seen: state.table("commands.seen"),
            inbox: Mutex::new(Inbox::new(config.pending_max)),
            epoch: watch::Sender::new(None),
            accepting: tokio::sync::Mutex::new(()),
            leaving: tokio::sync::Mutex::new(()),
        }))
    }

    /// Reads the inbox from disk and carries commands out until `stop` is cancelled. Call it
    /// once. After `stop`, a write that an adapter is at gets a few seconds to end; if it does
    /// not, its outcome is `unknown` after the next start.
    pub async fn run(&self, stop: CancellationToken) {
        while let Err(error) = self.0.restore().await {
            tracing::error!("the inbox of commands cannot be read, which is tried again: {error}");
            if self.0.pause(&stop).await.is_err() {
                return;
            }
        }
        lanes::run(&self.0, &stop).await;
    }

    /// How commands ended since the gateway started.
    pub fn counts(&self) -> CommandCounts {
        self.0.counters.snapshot()
    }

    /// Commands that wait to be carried out or reported.
    pub fn pending(&self) -> usize {
        self.0.inbox().len()
    }

    /// Tells the inbox that a device has subscribed, so that publishes which found nobody are
    /// tried at once rather than within a second.
    pub fn subscribers_changed(&self) {
        self.0.publishing.notify_one();
    }
}

impl CommandSink for Commands {
    fn accept<'a>(&'a self, topic: &'a str, payload: &'a Bytes) -> Persisting<'a> {
        let (shared, topic, payload) = (Arc::clone(&self.0), topic.to_owned(), payload.clone());
        Box::pin(async move {
            // On a task of its own: a caller that goes away must not leave a command that is on
            // disk and not in the inbox.
            let accepting = tokio::spawn(async move { shared.accept(&topic, &payload).await });
            accepting.await.unwrap_or_else(|error| Err(SinkError::Storage(error.to_string())))
        })
    }
}

impl Shared {
    async fn accept(&self, topic: &str, payload: &Bytes) -> Result<(), SinkError> {
        // One at a time: whether an id is new is decided before the next one is looked at.
        let _turn = self.accepting.lock().await;
        let epoch = self.restored_epoch().await?;
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        match parse::parse(topic, payload, self.expires_after) {
            Ok(parsed) => self.admit(parsed, epoch).await,
            Err(Malformed { subject, reason }) => {
                self.reject(&subject, &reason).await;
                Ok(())
            }
        }
    }

    async fn admit(&self, parsed: Parsed, epoch: u64) -> Result<(), SinkError> {
        let Parsed { id, order, validity } = parsed;
        let stage = Stage::Pending;
        let entry = Entry { id, order, validity, received: self.now(), epoch, stage };
        if let Some(device) = entry.device().filter(|device| !self.lanes.contains_key(*device)) {
            let reason = format!("unknown_device: no adapter of this gateway has {device}");
            self.reject(&Subject::of(&entry), &reason).await;
            return Ok(());
        }
        let bytes = entry.to_bytes();
        if bytes.len() > ENTRY_BYTES_MAX {
            self.reject(&Subject::of(&entry), "too_large: it cannot be stored").await;
            return Ok(());
        }
        let admission = self.inbox().admit(&entry.id, entry.weight());
        match admission {
            Admission::Duplicate => {
                self.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Admission::Full => {
                self.reject(&Subject::of(&entry), "inbox_full: too many commands wait").await;
                return Ok(());
            }
            Admission::New => {}
        }
        let number = self.inbox().next_number();
        self.entries
            .put(&number.to_be_bytes(), bytes)
            .await
            .map_err(|error| SinkError::Storage(error.to_string()))?;
        let lane = entry.device().and_then(|device| self.lanes.get(device));
        let wake = lane.map_or(&self.publishing, |lane| &lane.wake);
        self.inbox().insert(number, entry);
        wake.notify_one();
        Ok(())
    }

    /// Reports a command that is not taken in. Should the queue not take the report, the downlink
    /// goes on all the same.
    async fn reject(&self, subject: &Subject, reason: &str) {
        let report = Report::new(Status::Rejected, Some(reason), self.now());
        self.counters.count(report.status);
        let message = self.message(outcome::of_refused(subject, &report, &self.gateway));
        if self.submit(&message).await.is_err() {
            self.counters.unreported.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(id = subject.id, "a rejected command could not be reported: {reason}");
        }
    }

    /// Settles a command: its end is written down, then reported, then it leaves. Every step is
    /// repeated until it succeeds, for nothing may be lost between two of them.
    pub(super) async fn settle(
        &self,
        number: u64,
        report: Report,
        stop: &CancellationToken,
    ) -> Result<(), Stopping> {
        self.persist(number, Stage::Finished(report.clone()), stop).await?;
        let Some(entry) = self.inbox().get(number).cloned() else { return Ok(()) };
        let message = self.message(outcome::of_entry(&entry, &report, &self.gateway));
        while let Err(refusal) = self.submit(&message).await {
            if matches!(refusal, Refusal::TopicInvalid | Refusal::PayloadTooLarge) {
                self.counters.unreported.fetch_add(1, Ordering::Relaxed);
                tracing::error!(id = entry.id, ?refusal, "an outcome cannot be reported");
                break;
            }
            self.pause(stop).await?;
        }
        self.leave(number, &entry.id, stop).await?;
        self.counters.count(report.status);
        Ok(())
    }

    /// Writes a stage down, trying until it is on disk.
    pub(super) async fn persist(
        &self,
        number: u64,
        stage: Stage,
        stop: &CancellationToken,
    ) -> Result<(), Stopping> {
        let Some(mut entry) = self.inbox().get(number).cloned() else { return Ok(()) };
        if entry.stage != stage {
            entry.stage = stage.clone();
            let bytes = entry.to_bytes();
            while let Err(error) = self.entries.put(&number.to_be_bytes(), bytes.clone()).await {
                tracing::warn!(id = entry.id, "a command waits for the state store: {error}");
                self.pause(stop).await?;
            }
            self.inbox().set_stage(number, stage);
        }
        Ok(())
    }

    async fn leave(&self, number: u64, id: &str, stop: &CancellationToken) -> Result<(), Stopping> {
        let _turn = self.leaving.lock().await;
        let leaving = self.inbox().leaving();
        let mut changes = vec![
            self.entries.deleting(&number.to_be_bytes()),
            self.seen.putting(&leaving.remembered.to_be_bytes(), id.as_bytes().to_vec()),
        ];
        let forgotten = leaving.forgotten.iter();
        changes.extend(forgotten.map(|number| self.seen.deleting(&number.to_be_bytes())));
        while let Err(error) = self.state.write(changes.clone()).await {
            tracing::warn!(id, "a settled command waits for the state store: {error}");
            self.pause(stop).await?;
        }
        self.inbox().leave(number, &leaving);
        Ok(())
    }

    /// Hands a message of the gateway's own to the door: durable where a route sends it up, then
    /// to local subscribers.
    async fn submit(&self, message: &Message) -> Result<(), Refusal> {
        let verdicts = self.door.submit(&self.source, std::slice::from_ref(message)).await;
        match verdicts.first() {
            Some(Verdict::Accepted) => {
                self.door.deliver(message.clone()).await;
                Ok(())
            }
            Some(Verdict::Refused(refusal)) => Err(*refusal),
            None => Err(Refusal::StorageFailed),
        }
    }

    fn message(&self, payload: Vec<u8>) -> Message {
        Message {
            topic: Arc::clone(&self.outcome_topic),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            properties: None,
        }
    }

    async fn restored_epoch(&self) -> Result<u64, SinkError> {
        let mut epoch = self.epoch.subscribe();
        let restored = tokio::time::timeout(RESTORE_WAIT, epoch.wait_for(Option::is_some)).await;
        let epoch = restored.ok().and_then(Result::ok).and_then(|epoch| *epoch);
        epoch.ok_or_else(|| SinkError::Storage("the inbox has not been read yet".to_owned()))
    }

    /// Waits before something is tried again.
    pub(super) async fn pause(&self, stop: &CancellationToken) -> Result<(), Stopping> {
        tokio::select! {
            () = stop.cancelled() => Err(Stopping),
            () = tokio::time::sleep(self.retry_pause) => Ok(()),
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now().into()
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // The inbox changes by single steps that leave it whole even if one of them panics.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
