//! An uplink that runs, with everything a test looks at.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    config,
    uplink::{Status, Uplink},
};

use super::{Inbox, Memory};

/// No condition of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Waits for a condition; fails the test when it does not come true.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A configuration that tries again fast; `more` adds keys or replaces these.
pub fn config(url: &str, more: &str) -> config::Uplink {
    let mut table: toml::Table = toml::from_str(
        r#"
        ack_timeout = "400ms"
        backoff_min = "5ms"
        backoff_max = "20ms"
        backoff_refused = "300ms"
        "#,
    )
    .unwrap();
    table.insert("url".to_owned(), url.into());
    table.extend(toml::from_str::<toml::Table>(more).unwrap());
    table.try_into().unwrap()
}

pub struct Rig {
    pub status: watch::Receiver<Status>,
    pub streams: Vec<Memory>,
    pub inbox: Arc<Inbox>,
    pub heartbeat: Arc<std::sync::atomic::AtomicU64>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Rig {
    pub fn start(config: &config::Uplink, streams: Vec<Memory>) -> Self {
        Self::with_inbox(config, streams, Inbox::new())
    }

    pub fn with_inbox(config: &config::Uplink, streams: Vec<Memory>, inbox: Arc<Inbox>) -> Self {
        let commands = config::Commands::default();
        let sink = Arc::clone(&inbox);
        let mut uplink = Uplink::new(config, "gw", &commands, streams.clone(), sink)
            .unwrap_or_else(|error| panic!("{error}"));
        let (status, heartbeat) = (uplink.status(), uplink.heartbeat());
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { uplink.run(stop).await }
        });
        Self { status, streams, inbox, heartbeat, stop, task }
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub fn beats(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }

    /// Waits until the cloud has acknowledged everything.
    pub async fn drained(&self) {
        until("every message is acknowledged", || {
            self.streams.iter().all(|stream| stream.unsettled().is_empty())
        })
        .await;
    }

    /// Stops the uplink in its orderly way; its last status.
    pub async fn stop(self) -> Status {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops in time").unwrap();
        self.status.borrow().clone()
    }
}
