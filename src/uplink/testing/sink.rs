//! A command sink that remembers, and fails or waits when told to.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::command::{CommandSink, Persisting, SinkError};

pub struct Inbox {
    kept: Mutex<Vec<(String, Bytes)>>,
    failing: Mutex<HashSet<Bytes>>,
    gate: Semaphore,
}

impl Inbox {
    pub fn new() -> Arc<Self> {
        Self::with_permits(Semaphore::MAX_PERMITS)
    }

    /// A sink that keeps nothing until it is opened.
    pub fn closed() -> Arc<Self> {
        Self::with_permits(0)
    }

    fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            failing: Mutex::default(),
            gate: Semaphore::new(permits),
        })
    }

    pub fn open(&self, permits: usize) {
        self.gate.add_permits(permits);
    }

    /// Fails once on this payload.
    pub fn fail_once(&self, payload: &'static str) {
        self.failing.lock().unwrap().insert(Bytes::from_static(payload.as_bytes()));
    }

    pub fn kept(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.iter().map(|(topic, payload)| format!("{topic} {}", payload.escape_ascii())).collect()
    }
}

impl CommandSink for Inbox {
    fn accept<'a>(&'a self, topic: &'a str, payload: &'a Bytes) -> Persisting<'a> {
        Box::pin(async move {
            self.gate.acquire().await.expect("the gate is never closed").forget();
            if self.failing.lock().unwrap().remove(payload) {
                return Err(SinkError::Storage("no space left".to_owned()));
            }
            self.kept.lock().unwrap().push((topic.to_owned(), payload.clone()));
            Ok(())
        })
    }
}
