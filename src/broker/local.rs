//! A subscriber inside the gateway.

use std::{collections::VecDeque, future::poll_fn, sync::Arc, task::Poll};

use thiserror::Error;

use super::{
    Message, QoS, Switchboard,
    session::{Bounds, Delivery, Session, SessionKey, Subscribed},
    topic,
};
use crate::ingest::Source;

/// A filter that is not one. Permanent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{filter:?} is not a topic filter: {problem}")]
pub struct FilterError {
    /// The filter.
    pub filter: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Subscriptions of a part of the gateway itself. It gets what a device would, within the same
/// bounds: one that does not take its messages is found slow, and loses some. Dropping it ends
/// its subscriptions.
#[derive(Debug)]
pub struct LocalSubscriber {
    switchboard: Arc<Switchboard>,
    session: Arc<Session>,
    taken: VecDeque<Delivery>,
}

impl Switchboard {
    /// Subscribes a part of the gateway, by a name of its own, to filters.
    pub fn subscribe_local(
        self: &Arc<Self>,
        name: &str,
        filters: &[&str],
    ) -> Result<LocalSubscriber, FilterError> {
        for &filter in filters {
            topic::check_filter(filter).map_err(|problem| FilterError {
                filter: filter.to_owned(),
                problem: problem.to_string(),
            })?;
        }
        let name: Arc<str> = name.into();
        let key = SessionKey { identity: Some("gateway".into()), client_id: name.clone() };
        let bounds = Bounds::from(self.limits());
        let session = Arc::new(Session::new(self.numbers(), key, Source(name), bounds));
        {
            let mut state = session.lock();
            state.attached = true;
            state.outbound.connect();
        }
        let subscribed = Subscribed {
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: true,
            identifier: None,
        };
        for &filter in filters {
            session.lock().subscriptions.insert(filter.to_owned(), subscribed);
            self.subscribe(&session, filter, subscribed);
        }
        Ok(LocalSubscriber { switchboard: self.clone(), session, taken: VecDeque::new() })
    }
}

impl LocalSubscriber {
    /// The next message. Cancelling it loses none.
    pub async fn next(&mut self) -> Message {
        loop {
            if let Some(delivery) = self.taken.pop_front() {
                return delivery.routed.message.clone();
            }
            self.taken = poll_fn(|cx| {
                // Registers the task before it looks, so that nothing slips between.
                self.session.take_signals(cx.waker());
                let taken = self.session.lock().outbound.take_waiting();
                if taken.is_empty() { Poll::Pending } else { Poll::Ready(taken) }
            })
            .await;
            self.session.room.notify_waiters();
        }
    }
}

impl Drop for LocalSubscriber {
    fn drop(&mut self) {
        self.session.lock().ended = true;
        self.switchboard.forget(&self.session);
        self.session.room.notify_waiters();
    }
}
