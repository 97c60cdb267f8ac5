//! A stream in memory that keeps the promises of a stream of the queue.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    config::Encoding,
    queue::{Chunk, Record, Stamp},
    uplink::{Backlog, BacklogError},
};

#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    name: String,
    priority: u8,
    state: Mutex<State>,
    end: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    settled: Vec<bool>,
    floor: u64,
    failing_reads: u32,
}

impl Memory {
    pub fn new(name: &str, priority: u8) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            priority,
            state: Mutex::default(),
            end: watch::channel(0).0,
        }))
    }

    /// A stream that holds this many messages, the payload of each its sequence.
    pub fn filled(name: &str, priority: u8, messages: u64) -> Self {
        let memory = Self::new(name, priority);
        for sequence in 0..messages {
            memory.push("gw/sensors/t", sequence.to_string().into());
        }
        memory
    }

    pub fn push(&self, topic: &str, payload: Bytes) {
        let mut state = self.state();
        let sequence = state.records.len() as u64;
        let stamp =
            Stamp { boot: 1, monotonic_millis: sequence, wall_millis: 0, wall_trusted: true };
        let (source, topic) = ("device".into(), topic.to_owned());
        state.records.push(Record { sequence, source, topic, payload, stamp });
        state.settled.push(false);
        self.0.end.send_replace(sequence + 1);
    }

    pub fn fail_reads(&self, times: u32) {
        self.state().failing_reads = times;
    }

    /// Settles everything before this sequence, as a stream that is full drops its oldest.
    pub fn evict_before(&self, sequence: u64) {
        let mut state = self.state();
        state.settled[..sequence as usize].fill(true);
        state.floor = state.floor.max(sequence);
    }

    pub fn unsettled(&self) -> Vec<u64> {
        let state = self.state();
        (0..).zip(&state.settled).filter(|(_, settled)| !**settled).map(|(n, _)| n).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl Backlog for Memory {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn priority(&self) -> u8 {
        self.0.priority
    }

    fn encoding(&self) -> Encoding {
        Encoding::Raw
    }

    fn floor(&self) -> u64 {
        self.state().floor
    }

    fn durable_end(&self) -> watch::Receiver<u64> {
        self.0.end.subscribe()
    }

    async fn read(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Chunk, BacklogError> {
        tokio::task::yield_now().await;
        let mut state = self.state();
        if state.failing_reads > 0 {
            state.failing_reads -= 1;
            return Err(BacklogError("the disk is gone for a moment".to_owned()));
        }
        let (mut records, mut bytes, mut next) = (Vec::new(), 0, from.max(state.floor));
        while let Some(record) = state.records.get(next as usize) {
            if records.len() >= records_max || bytes >= bytes_max {
                break;
            }
            next += 1;
            if !state.settled[record.sequence as usize] {
                bytes += record.topic.len() + record.payload.len();
                records.push(record.clone());
            }
        }
        Ok(Chunk { records, next })
    }

    fn acknowledge(&self, sequence: u64) -> bool {
        let mut state = self.state();
        let Some(settled) = state.settled.get_mut(sequence as usize) else { return false };
        if std::mem::replace(settled, true) {
            return false;
        }
        while state.settled.get(state.floor as usize) == Some(&true) {
            state.floor += 1;
        }
        true
    }
}
