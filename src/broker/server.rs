//! The broker as a whole: starts the doors, tells how it fares, and stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    BrokerCounters, Message, QoS, Switchboard, UserError,
    auth::Passwords,
    hub::Hub,
    listener::{self, Acceptor, ListenerError},
    session::Registry,
    tls::TlsError,
};
use crate::{
    config::{self, Limits},
    ingest,
};

/// The topic on which the health probe talks to itself.
const PROBE_TOPIC: &str = "$SYS/holdfast/probe";

/// Why the broker cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A door cannot be opened.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// A user cannot be used. Permanent until the configuration is mended.
    #[error(transparent)]
    User(#[from] UserError),
}

/// What the health probe found wrong. Worth another look; several in a row are worth a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// An accept loop does not answer.
    #[error("the door {0} does not answer")]
    Door(SocketAddr),
    /// A message did not come through.
    #[error("the switchboard does not pass messages on")]
    Switchboard,
}

/// The running broker. It runs until its token is cancelled.
#[derive(Debug)]
pub struct Broker {
    doors: Vec<listener::Door>,
    switchboard: Arc<Switchboard>,
    permits: Arc<Semaphore>,
    connections_max: u32,
    hub: Arc<Hub>,
}

impl Broker {
    /// Opens every door, or none.
    #[expect(clippy::unused_async, reason = "it must be called on a runtime, and may come to wait")]
    pub async fn start(
        listeners: &[config::Listener],
        users: &[config::User],
        limits: &Limits,
        door: Arc<dyn ingest::Door>,
        switchboard: Arc<Switchboard>,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let passwords = Passwords::new(users)?;
        let mut bound = Vec::with_capacity(listeners.len());
        for listener in listeners {
            bound.push((listener, listener::bind(listener)?));
        }
        let hub = Arc::new(Hub {
            limits: limits.clone(),
            door,
            counters: switchboard.counters().clone(),
            switchboard: switchboard.clone(),
            registry: Registry::new(limits, switchboard.numbers().clone()),
            passwords,
            shutdown,
        });
        // More than this the semaphore could not be drained of at once.
        let connections_max = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
        let permits =
            Arc::new(Semaphore::new((connections_max as usize).min(Semaphore::MAX_PERMITS)));
        let mut doors = Vec::with_capacity(bound.len());
        for (listener, (socket, tls)) in bound {
            let address = socket
                .local_addr()
                .map_err(|source| ListenerError::Bind { address: listener.bind, source })?;
            let tls = tls.map(Arc::new);
            let (questions, asked) = mpsc::channel(1);
            let acceptor = Acceptor {
                hub: hub.clone(),
                authentication: listener
                    .authentication()
                    .ok_or(ListenerError::Authentication(listener.bind))?,
                tls: tls.clone(),
                permits: permits.clone(),
                questions: asked,
            };
            info!(%address, tls = tls.is_some(), authentication = ?acceptor.authentication,
                "listening");
            tokio::spawn(acceptor.run(socket));
            doors.push(listener::Door { address, questions, tls });
        }
        tokio::spawn(hub.clone().keep_house());
        Ok(Self { doors, switchboard, permits, connections_max, hub })
    }

    /// The doors' addresses, in the order of the configuration, with the ports they really have.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(|door| door.address).collect()
    }

    /// What the broker counts.
    pub fn counters(&self) -> &Arc<BrokerCounters> {
        self.switchboard.counters()
    }

    #[cfg(test)]
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Sessions, connected or not.
    pub fn sessions(&self) -> usize {
        self.hub.registry.len()
    }

    /// Reads the certificates and authorities of all doors again, for new connections. What is
    /// no good is reported, and what was in force stays.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.doors.iter().filter_map(|door| door.tls.as_ref()).try_for_each(|tls| tls.reload())
    }

    /// Asks every accept loop whether it is alive, and sends a message through the switchboard.
    pub async fn probe(&self, within: Duration) -> Result<(), ProbeError> {
        for door in &self.doors {
            let (answer, answered) = oneshot::channel();
            let asked = async {
                door.questions.send(answer).await.ok()?;
                answered.await.ok()
            };
            if !matches!(timeout(within, asked).await, Ok(Some(()))) {
                return Err(ProbeError::Door(door.address));
            }
        }
        let passing = self.pass_a_message();
        timeout(within, passing).await.map_err(|_| ProbeError::Switchboard)
    }

    async fn pass_a_message(&self) {
        let Ok(mut probe) = self.switchboard.subscribe_local("probe", &[PROBE_TOPIC]) else {
            // The filter is a constant that is well formed.
            return;
        };
        let message = Message {
            topic: PROBE_TOPIC.into(),
            payload: bytes::Bytes::new(),
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            properties: None,
        };
        self.switchboard.publish(message).await;
        probe.next().await;
    }

    /// After the token was cancelled: waits until every connection has finished what it had begun
    /// and is closed. Whether that was so in time.
    pub async fn drained(&self, within: Duration) -> bool {
        let all = self.permits.acquire_many(self.connections_max);
        timeout(within, all).await.is_ok()
    }
}
