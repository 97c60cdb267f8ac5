//! What all connections of a broker have in common.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    BrokerCounters, Message, Switchboard,
    auth::Passwords,
    codec::Will,
    session::{Registry, Session, Signals},
};
use crate::{
    config::Limits,
    ingest::{Door, Source, Verdict},
};

/// How often expired sessions, wills that are due and expired retained messages are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The broker's inside.
pub(super) struct Hub {
    pub limits: Limits,
    pub door: Arc<dyn Door>,
    pub switchboard: Arc<Switchboard>,
    pub counters: Arc<BrokerCounters>,
    pub registry: Registry,
    pub passwords: Passwords,
    pub shutdown: CancellationToken,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Hub {
    /// Publishes the will of a client that is gone, as if the client had sent it.
    pub async fn publish_will(&self, source: &Source, client_id: Option<Arc<str>>, will: Will) {
        let message = Message {
            topic: will.topic,
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            publisher: client_id,
            properties: will.properties,
        };
        let batch = [message];
        let verdicts = self.door.submit(source, &batch).await;
        let [message] = batch;
        if verdicts.first() == Some(&Verdict::Accepted) {
            self.counters.wills.add(1);
            self.door.deliver(message).await;
        } else {
            self.counters.refused_messages.add(1);
            info!(device = &*source.0, topic = &*message.topic, "a will was refused");
        }
    }

    /// Takes a session that is over out of everything.
    pub fn forget(&self, session: &Session) {
        self.switchboard.forget(session);
    }

    /// Sweeps until the broker stops, then tells every connection.
    pub async fn keep_house(self: Arc<Self>) {
        let mut interval = tokio::time::interval(SWEEP_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                _ = interval.tick() => self.sweep(),
            }
        }
        // A connection that attaches after this sees the token itself.
        for session in self.registry.all() {
            session.signal(Signals::SHUTDOWN);
        }
    }

    fn sweep(self: &Arc<Self>) {
        let now = Instant::now();
        let (ended, wills) = self.registry.sweep(now);
        self.counters.sessions_expired.add(ended.len() as u64);
        for session in ended {
            debug!(client_id = &**session.client_id(), "the session has expired");
            self.forget(&session);
        }
        self.switchboard.forget_expired(now);
        if wills.is_empty() {
            return;
        }
        // Beside the house-keeping, as a full disk or a slow subscriber may hold them up. There
        // are never more of them than sessions.
        let hub = self.clone();
        tokio::spawn(async move {
            for (source, will) in wills {
                hub.publish_will(&source, None, will).await;
            }
        });
    }
}
