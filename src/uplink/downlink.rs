//! What comes down: kept by the command sink first, acknowledged to the cloud afterwards.
//!
//! One worker hands messages to the sink, in the order in which they came. It outlives
//! connections, so that the order holds across them; an acknowledgement whose connection is gone
//! is dropped, and the cloud sends that message again.

use std::sync::Arc;

use rumqttc::{Packet, PubAck, PubRec, Publish, QoS};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
};

use crate::command::CommandSink;

/// Messages that wait for the sink, over all connections. Clouds keep fewer unacknowledged on one
/// connection.
const WAITING_MAX: usize = 256;

struct Arrival {
    publish: Publish,
    done: mpsc::Sender<Option<Packet>>,
}

/// The way to the sink.
#[derive(Debug)]
pub struct Downlink {
    arrivals: mpsc::Sender<Arrival>,
    worker: JoinHandle<()>,
}

/// One connection's use of the way to the sink.
#[derive(Debug)]
pub struct Arrivals {
    worker: mpsc::Sender<Arrival>,
    done: mpsc::Sender<Option<Packet>>,
    finished: mpsc::Receiver<Option<Packet>>,
    /// Never more than `done` has room for, so that the worker never waits for a connection.
    unfinished: usize,
}

impl Downlink {
    /// Starts the worker.
    pub fn start(sink: Arc<dyn CommandSink>) -> Self {
        let (arrivals, waiting) = mpsc::channel(WAITING_MAX);
        Self { arrivals, worker: tokio::spawn(work(sink, waiting)) }
    }

    /// The way for one connection.
    pub fn arrivals(&self) -> Arrivals {
        let (done, finished) = mpsc::channel(WAITING_MAX);
        Arrivals { worker: self.arrivals.clone(), done, finished, unfinished: 0 }
    }

    /// Lets the worker finish what it has.
    pub async fn finish(self) {
        drop(self.arrivals);
        // An error is a panic in the sink, which has been reported by then.
        let _ = self.worker.await;
    }
}

impl Arrivals {
    /// Takes a message in, without waiting; false where it could not be taken, and must not be
    /// acknowledged.
    pub fn take(&mut self, publish: Publish) -> bool {
        if self.unfinished >= WAITING_MAX {
            return false;
        }
        match self.worker.try_send(Arrival { publish, done: self.done.clone() }) {
            Ok(()) => {
                self.unfinished += 1;
                true
            }
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => false,
        }
    }

    /// The next acknowledgement to send. Nothing is lost when it is dropped half-way.
    pub async fn acknowledgement(&mut self) -> Option<Packet> {
        // This end holds a sender, so the channel is never closed.
        let done = self.finished.recv().await?;
        self.unfinished -= 1;
        done
    }
}

async fn work(sink: Arc<dyn CommandSink>, mut waiting: mpsc::Receiver<Arrival>) {
    while let Some(Arrival { publish, done }) = waiting.recv().await {
        let acknowledgement = match sink.accept(&publish.topic, &publish.payload).await {
            Ok(()) => acknowledgement(&publish),
            Err(error) => {
                tracing::error!(
                    topic = publish.topic,
                    %error,
                    "a message from the cloud is not acknowledged, so that it comes again"
                );
                None
            }
        };
        // Its connection may be gone: then the cloud sends the message again.
        let _ = done.send(acknowledgement).await;
    }
}

fn acknowledgement(publish: &Publish) -> Option<Packet> {
    match publish.qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(Packet::PubAck(PubAck::new(publish.pkid))),
        QoS::ExactlyOnce => Some(Packet::PubRec(PubRec::new(publish.pkid))),
    }
}
