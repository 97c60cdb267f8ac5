//! A gateway around the inbox: a door and adapters of which the test knows everything.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use holdfast_adapter_api::{DeviceName, Outcome, PendingCommand, Value};
use serde_json::Value as Json;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Message,
    command::{CommandSink, Commands},
    config,
    ingest::{Door, Source, Submission, Verdict},
    queue::{Clock, Refusal, Stamp},
    state::{Options, State},
};

/// Nothing that is to happen takes this long.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// A clock that goes with the real one, and can be moved.
#[derive(Debug)]
pub(super) struct Time {
    base: Instant,
    pub(super) boot: AtomicU64,
    pub(super) monotonic_shift: AtomicU64,
    pub(super) wall_shift: AtomicI64,
    pub(super) trusted: AtomicBool,
}

impl Time {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            boot: AtomicU64::new(1),
            monotonic_shift: AtomicU64::new(1_000_000),
            wall_shift: AtomicI64::new(1_700_000_000_000),
            trusted: AtomicBool::new(true),
        })
    }

    pub(super) fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
        let elapsed = self.base.elapsed().as_millis() as u64;
        self.monotonic_shift.store(0u64.wrapping_sub(elapsed), Ordering::SeqCst);
    }

    pub(super) fn advance(&self, time: Duration) {
        self.monotonic_shift.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
        self.wall_shift.fetch_add(time.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for Time {
    fn now(&self) -> Stamp {
        let elapsed = self.base.elapsed().as_millis() as u64;
        Stamp {
            boot: self.boot.load(Ordering::SeqCst),
            monotonic_millis: self.monotonic_shift.load(Ordering::SeqCst).wrapping_add(elapsed),
            wall_millis: self.wall_shift.load(Ordering::SeqCst) + elapsed as i64,
            wall_trusted: self.trusted.load(Ordering::SeqCst),
        }
    }
}

/// A door that outlives the gateway's crashes, as the queue behind it does.
#[derive(Default)]
pub(super) struct TestDoor {
    pub(super) refusing: Mutex<Option<Refusal>>,
    pub(super) listening: Mutex<HashSet<String>>,
    outcomes: Mutex<Vec<Json>>,
    delivered: Mutex<Vec<Message>>,
}

impl TestDoor {
    /// Outcomes that were taken in durably.
    pub(super) fn outcomes(&self) -> Vec<Json> {
        self.outcomes.lock().unwrap().clone()
    }

    pub(super) fn outcomes_of(&self, id: &str) -> Vec<Json> {
        self.outcomes().into_iter().filter(|outcome| outcome["id"] == id).collect()
    }

    pub(super) fn statuses(&self, id: &str) -> Vec<String> {
        let status = |outcome: &Json| outcome["status"].as_str().unwrap().to_owned();
        self.outcomes_of(id).iter().map(status).collect()
    }

    /// What reached a subscriber, outcomes aside.
    pub(super) fn delivered(&self) -> Vec<Message> {
        self.delivered.lock().unwrap().clone()
    }

    pub(super) fn refuse(&self, refusal: Option<Refusal>) {
        *self.refusing.lock().unwrap() = refusal;
    }

    pub(super) fn listen(&self, topic: &str) {
        self.listening.lock().unwrap().insert(topic.to_owned());
    }
}

impl Door for TestDoor {
    fn submit<'a>(&'a self, source: &'a Source, batch: &'a [Message]) -> Submission<'a> {
        Box::pin(async move {
            assert_eq!(&*source.0, "gateway");
            let refusing = *self.refusing.lock().unwrap();
            let verdict = |message: &Message| {
                assert_eq!(&*message.topic, "gw-1/outcomes");
                refusing.map_or_else(
                    || {
                        let outcome = serde_json::from_slice(&message.payload).unwrap();
                        self.outcomes.lock().unwrap().push(outcome);
                        Verdict::Accepted
                    },
                    Verdict::Refused,
                )
            };
            batch.iter().map(verdict).collect()
        })
    }

    fn deliver(&self, message: Message) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
        Box::pin(async move {
            if &*message.topic == "gw-1/outcomes" {
                return 0;
            }
            let heard = self.listening.lock().unwrap().contains(&*message.topic);
            if heard || message.retain {
                self.delivered.lock().unwrap().push(message);
            }
            usize::from(heard)
        })
    }
}

/// One life of the gateway, from start to stop or crash.
pub(super) struct Gateway {
    pub(super) commands: Commands,
    pub(super) state: State,
    pub(super) stop: CancellationToken,
    running: Option<JoinHandle<()>>,
    adapters: HashMap<DeviceName, mpsc::Receiver<PendingCommand>>,
}

/// The configuration of every test but for what it says itself.
pub(super) fn config() -> config::Commands {
    config::Commands { pending_max: 50, ..config::Commands::default() }
}

pub(super) fn device(name: &str) -> DeviceName {
    DeviceName::try_from(name.to_owned()).unwrap()
}

impl Gateway {
    pub(super) fn start(
        dir: &Path,
        devices: &[&str],
        door: &Arc<TestDoor>,
        time: &Arc<Time>,
    ) -> Self {
        Self::with_config(dir, devices, door, time, &config())
    }

    pub(super) fn with_config(
        dir: &Path,
        devices: &[&str],
        door: &Arc<TestDoor>,
        time: &Arc<Time>,
        config: &config::Commands,
    ) -> Self {
        let (state, _) = State::open(dir, Options::default());
        let (senders, adapters): (HashMap<_, _>, HashMap<_, _>) = devices
            .iter()
            .map(|name| (device(name), mpsc::channel(1)))
            .map(|(name, (sender, receiver))| ((name.clone(), sender), (name, receiver)))
            .unzip();
        let commands = Commands::with_pause(
            config,
            "gw-1",
            &state,
            Arc::clone(door) as Arc<dyn Door>,
            senders,
            Arc::clone(time) as Arc<dyn Clock>,
            RETRY_PAUSE,
        );
        let stop = CancellationToken::new();
        let (runner, stopping) = (commands.clone(), stop.clone());
        let running = tokio::spawn(async move { runner.run(stopping).await });
        Self { commands, state, stop, running: Some(running), adapters }
    }

    pub(super) async fn accept(&self, command: &Json) {
        let payload = Bytes::from(command.to_string());
        self.commands.accept("gw-1/commands/x", &payload).await.unwrap();
    }

    /// The channel of a device's adapter; once.
    pub(super) fn adapter(&mut self, name: &str) -> mpsc::Receiver<PendingCommand> {
        self.adapters.remove(&device(name)).expect("a device whose adapter was not taken yet")
    }

    /// An adapter that writes at once and says so. Gives the ids it wrote.
    pub(super) fn prompt_adapter(&mut self, name: &str) -> Arc<Mutex<Vec<String>>> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut commands, log) = (self.adapter(name), Arc::clone(&written));
        tokio::spawn(async move {
            while let Some(pending) = commands.recv().await {
                log.lock().unwrap().push(pending.command.id);
                // The inbox may have gone down in the meantime.
                let _ = pending.reply.send(Outcome::Done { readback: Some(Value::Int(7)) });
            }
        });
        written
    }

    /// Ends in order.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        self.running.take().unwrap().await.unwrap();
        self.state.close().await;
    }

    /// Ends as by SIGKILL: whatever runs is dropped where it stands.
    pub(super) async fn crash(mut self) {
        let running = self.running.take().unwrap();
        running.abort();
        // It was aborted: that is the outcome.
        let _ = running.await;
        self.state.close().await;
    }

    pub(super) async fn until_settled(&self) {
        until("every command is settled", || self.commands.pending() == 0).await;
    }
}

/// Waits for something to become so.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < give_up, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}
