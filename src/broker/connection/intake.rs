//! Messages from one client on their way through the entrance.
//!
//! What was read together goes through the door as one batch. One batch is submitted at a time,
//! and one delivered; the next gathers meanwhile, within bounds, at which reading pauses.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    broker::Message,
    ingest::{Door, Source, Verdict},
};

/// Messages that gather for the next batch before reading pauses.
const GATHERED_MESSAGES_MAX: usize = 1_024;
/// Their payload bytes; one more packet may come on top.
const GATHERED_BYTES_MAX: usize = 128 * 1024;

/// A batch that has been decided.
pub(super) struct Decided {
    pub messages: Vec<Message>,
    pub ids: Vec<u16>,
    pub verdicts: Vec<Verdict>,
}

type Submitting = Pin<Box<dyn Future<Output = Decided> + Send>>;
type Delivering = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The intake.
#[derive(Default)]
pub(super) struct Intake {
    messages: Vec<Message>,
    /// Packet ids, 0 at QoS 0.
    ids: Vec<u16>,
    bytes: usize,
    submitting: Option<Submitting>,
    delivering: Option<Delivering>,
}

impl Intake {
    pub fn push(&mut self, message: Message, id: u16) {
        self.bytes += message.topic.len() + message.payload.len();
        self.messages.push(message);
        self.ids.push(id);
    }

    /// Whether no more should be read for now.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= GATHERED_MESSAGES_MAX || self.bytes >= GATHERED_BYTES_MAX
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.messages.is_empty() && self.submitting.is_none() && self.delivering.is_none()
    }

    /// Submits what has gathered, if no batch is at the door. Whether one was.
    pub fn submit(&mut self, door: &Arc<dyn Door>, source: &Source) -> bool {
        if self.submitting.is_some() || self.messages.is_empty() {
            return false;
        }
        let messages = std::mem::take(&mut self.messages);
        let ids = std::mem::take(&mut self.ids);
        self.bytes = 0;
        let (door, source) = (door.clone(), source.clone());
        self.submitting = Some(Box::pin(async move {
            let verdicts = door.submit(&source, &messages).await;
            Decided { messages, ids, verdicts }
        }));
        true
    }

    /// The batch at the door, once it is decided. Not before the last one is delivered: its order
    /// is kept, and a publisher waits for its subscribers.
    pub fn poll_decided(&mut self, cx: &mut Context<'_>) -> Poll<Decided> {
        if self.delivering.is_some() {
            return Poll::Pending;
        }
        let Some(submitting) = &mut self.submitting else { return Poll::Pending };
        let decided = std::task::ready!(submitting.as_mut().poll(cx));
        self.submitting = None;
        Poll::Ready(decided)
    }

    /// Hands accepted messages to local subscribers.
    pub fn deliver(&mut self, door: &Arc<dyn Door>, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let door = door.clone();
        self.delivering = Some(Box::pin(async move {
            for message in messages {
                door.deliver(message).await;
            }
        }));
    }

    /// Goes on delivering; ready when a batch is done.
    pub fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(delivering) = &mut self.delivering else { return Poll::Pending };
        std::task::ready!(delivering.as_mut().poll(cx));
        self.delivering = None;
        Poll::Ready(())
    }
}
