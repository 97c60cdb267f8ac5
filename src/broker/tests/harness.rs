//! A broker with an entrance made for tests.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::super::*;
use crate::{
    config::{Limits, Listener, User},
    ingest::{Door, Source, Submission, Verdict},
    queue::Refusal,
};

/// What nothing on one machine should take.
pub const SOON: Duration = Duration::from_secs(10);

/// Takes everything, but: what is published below `refused/` is refused, below `huge/` as too
/// large, and a batch with a topic below `held/` waits until the test lets it go.
#[derive(Debug)]
pub struct TestDoor {
    switchboard: Arc<Switchboard>,
    pub gate: Semaphore,
    pub submitted: Mutex<Vec<(Source, Message)>>,
    pub batches: Mutex<Vec<usize>>,
}

fn verdict(message: &Message) -> Verdict {
    if message.topic.starts_with("refused/") {
        Verdict::Refused(Refusal::StreamFull)
    } else if message.topic.starts_with("huge/") {
        Verdict::Refused(Refusal::PayloadTooLarge)
    } else {
        Verdict::Accepted
    }
}

impl Door for TestDoor {
    fn submit<'a>(&'a self, source: &'a Source, batch: &'a [Message]) -> Submission<'a> {
        Box::pin(async move {
            self.batches.lock().unwrap().push(batch.len());
            if batch.iter().any(|message| message.topic.starts_with("held/")) {
                self.gate.acquire().await.expect("the gate is never closed").forget();
            }
            let seen = batch.iter().map(|message| (source.clone(), message.clone()));
            self.submitted.lock().unwrap().extend(seen);
            batch.iter().map(verdict).collect()
        })
    }

    fn deliver(&self, message: Message) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
        Box::pin(self.switchboard.publish(message))
    }
}

/// A running broker; it stops with the test.
pub struct House {
    pub broker: Broker,
    pub switchboard: Arc<Switchboard>,
    pub door: Arc<TestDoor>,
    pub shutdown: CancellationToken,
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub fn loopback() -> Listener {
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    Listener { bind, tls: None, authentication: None, insecure: false }
}

impl House {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(adjust: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        adjust(&mut limits);
        Self::start(&[loopback()], &[], &limits).await.expect("the broker starts")
    }

    pub async fn start(
        listeners: &[Listener],
        users: &[User],
        limits: &Limits,
    ) -> Result<Self, StartError> {
        let switchboard = Arc::new(Switchboard::new(limits));
        let door = Arc::new(TestDoor {
            switchboard: switchboard.clone(),
            gate: Semaphore::new(0),
            submitted: Mutex::default(),
            batches: Mutex::default(),
        });
        let shutdown = CancellationToken::new();
        let broker = Broker::start(
            listeners,
            users,
            limits,
            door.clone(),
            switchboard.clone(),
            shutdown.clone(),
        )
        .await?;
        Ok(Self { broker, switchboard, door, shutdown })
    }

    pub fn address(&self) -> SocketAddr {
        self.broker.addresses()[0]
    }

    pub fn counts(&self) -> BrokerSnapshot {
        self.broker.counters().snapshot()
    }

    /// The topics that came to the entrance.
    pub fn submitted(&self) -> Vec<String> {
        let submitted = self.door.submitted.lock().unwrap();
        submitted.iter().map(|(_, message)| message.topic.to_string()).collect()
    }
}

/// Waits, within bounds, until something is so.
pub async fn eventually(what: &str, so: impl Fn() -> bool) {
    let polled = async {
        let mut interval = tokio::time::interval(Duration::from_millis(5));
        while !so() {
            interval.tick().await;
        }
    };
    let in_time = tokio::time::timeout(SOON, polled).await;
    assert!(in_time.is_ok(), "not so in time: {what}");
}
