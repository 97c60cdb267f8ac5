//! All sessions by name, and which connection serves them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::{Bounds, Session, SessionKey, Signals};
use crate::{broker::codec::Will, config::Limits, ingest::Source};

/// What a connection asks for.
#[derive(Debug)]
pub(in crate::broker) struct Attach {
    pub key: SessionKey,
    pub source: Source,
    /// A session that exists is not wanted.
    pub clean_start: bool,
    /// Until when an earlier connection may hold on.
    pub deadline: Instant,
}

/// What it gets.
#[derive(Debug)]
pub(in crate::broker) struct Attached {
    pub session: Arc<Session>,
    /// The session existed before.
    pub present: bool,
    /// A session that came to its end by this; the caller removes it from the index.
    pub replaced: Option<Arc<Session>>,
    /// A will that waited and is due because its session came to its end.
    pub will: Option<Box<Will>>,
}

/// Why it gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::broker) enum AttachError {
    /// Worth another try later.
    #[error("as many sessions as limits.sessions_max allows; let some expire or raise it")]
    TooMany,
    /// Worth another try later.
    #[error("an earlier connection of the same client id did not let go in time")]
    Held,
}

/// The sessions of a broker.
#[derive(Debug)]
pub(in crate::broker) struct Registry {
    sessions: Mutex<HashMap<SessionKey, Arc<Session>>>,
    sessions_max: usize,
    bounds: Bounds,
    numbers: Arc<AtomicU64>,
}

enum Step {
    Done(Attached),
    Wait(Arc<Session>),
}

impl Registry {
    pub fn new(limits: &Limits, numbers: Arc<AtomicU64>) -> Self {
        Self {
            sessions: Mutex::default(),
            sessions_max: limits.sessions_max,
            bounds: Bounds::from(limits),
            numbers,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// All of them, at this moment.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    /// Attaches a connection; one that serves the session already is told to go, and waited for.
    pub async fn attach(&self, attach: &Attach) -> Result<Attached, AttachError> {
        loop {
            let held = match self.step(attach)? {
                Step::Done(attached) => return Ok(attached),
                Step::Wait(session) => session,
            };
            let detached = held.detached.notified();
            tokio::pin!(detached);
            detached.as_mut().enable();
            if !held.lock().attached {
                continue;
            }
            held.signal(Signals::TAKEN_OVER);
            if timeout_at(attach.deadline, detached).await.is_err() {
                return Err(AttachError::Held);
            }
        }
    }

    fn step(&self, attach: &Attach) -> Result<Step, AttachError> {
        let mut sessions = self.lock();
        let mut replaced = None;
        let mut will = None;
        if let Some(session) = sessions.get(&attach.key) {
            let mut state = session.lock();
            if state.attached {
                drop(state);
                return Ok(Step::Wait(session.clone()));
            }
            if !attach.clean_start {
                state.attached = true;
                state.expires = None;
                // [MQTT-3.1.3-9]: a will that waited is not sent when its client is back.
                state.will = None;
                state.outbound.connect();
                state.inbound.resume();
                drop(state);
                session.clear_signals();
                let session = session.clone();
                return Ok(Step::Done(Attached { session, present: true, replaced, will }));
            }
            state.ended = true;
            will = state.will.take().map(|(_, will)| will);
            drop(state);
            replaced = Some(session.clone());
        } else if sessions.len() >= self.sessions_max {
            return Err(AttachError::TooMany);
        }
        let session =
            Session::new(&self.numbers, attach.key.clone(), attach.source.clone(), self.bounds);
        {
            let mut state = session.lock();
            state.attached = true;
            state.outbound.connect();
        }
        let session = Arc::new(session);
        sessions.insert(attach.key.clone(), session.clone());
        Ok(Step::Done(Attached { session, present: false, replaced, will }))
    }

    /// A connection lets go. Whether the session is over by this; the caller then removes it from
    /// the index. `will` is one that has to wait; it is given back when it is due at once.
    pub fn detach(
        &self,
        session: &Arc<Session>,
        keep: Duration,
        will: Option<(Instant, Box<Will>)>,
        now: Instant,
    ) -> (bool, Option<Box<Will>>) {
        let mut sessions = self.lock();
        let mut state = session.lock();
        state.attached = false;
        state.outbound.disconnect();
        let ended = keep.is_zero();
        let mut due = None;
        if ended {
            state.ended = true;
            due = will.map(|(_, will)| will);
            if sessions.get(&session.key).is_some_and(|held| Arc::ptr_eq(held, session)) {
                sessions.remove(&session.key);
            }
        } else {
            state.expires = Some(now + keep);
            match will {
                Some((at, will)) if at <= now => due = Some(will),
                later => state.will = later,
            }
        }
        drop(state);
        drop(sessions);
        session.detached.notify_waiters();
        session.room.notify_waiters();
        (ended, due)
    }

    /// Ends sessions whose time is over, and takes the wills that are due.
    pub fn sweep(&self, now: Instant) -> (Vec<Arc<Session>>, Vec<(Source, Will)>) {
        let mut ended = Vec::new();
        let mut wills = Vec::new();
        self.lock().retain(|_, session| {
            let mut state = session.lock();
            let over = !state.attached && state.expires.is_some_and(|expires| expires <= now);
            if state.will.as_ref().is_some_and(|(at, _)| over || *at <= now)
                && let Some((_, will)) = state.will.take()
            {
                wills.push((session.source.clone(), *will));
            }
            state.outbound.shrink();
            if over {
                state.ended = true;
                drop(state);
                ended.push(session.clone());
            }
            !over
        });
        (ended, wills)
    }
}
