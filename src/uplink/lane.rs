//! One stream on its way through the uplink: what was read ahead, and how far.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::queue::{Chunk, Record};

use super::backlog::{Backlog, BacklogError};

/// Records in one read.
const READ_RECORDS_MAX: usize = 512;
/// Payload and topic bytes in one read.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Below this many records read ahead, more are read.
const AHEAD_RECORDS_MIN: usize = 512;
/// A message that was set aside is tried again on the first connection after this time.
const SET_ASIDE_FOR: Duration = Duration::from_hours(1);
/// Messages set aside at once; a further one takes the place of the oldest, which is tried again.
const SET_ASIDE_MAX: usize = 100;
/// The pause after a read that failed.
const READ_RETRY: Duration = Duration::from_secs(1);

/// The end of one read: for which stream, and what it brought.
pub type Fetched = (usize, Result<Chunk, BacklogError>);

/// One stream and what was read ahead of it.
#[derive(Debug)]
pub struct Lane<B> {
    stream: B,
    name: String,
    /// Where the next read starts.
    next: u64,
    ahead: VecDeque<Record>,
    reading: bool,
    /// Everything below this was sent at least once since the gateway started.
    sent_to: u64,
    /// Messages at which the cloud closes the connection, and since when they are left out.
    aside: BTreeMap<u64, Instant>,
}

impl<B: Backlog> Lane<B> {
    /// A lane that starts at the stream's floor.
    pub fn new(stream: B) -> Self {
        let (name, next) = (stream.name().to_owned(), stream.floor());
        Self {
            stream,
            name,
            next,
            ahead: VecDeque::new(),
            reading: false,
            sent_to: next,
            aside: BTreeMap::new(),
        }
    }

    /// Goes back to the first message that is not settled.
    pub fn rewind(&mut self, now: Instant) {
        self.aside.retain(|_, since| now.saturating_duration_since(*since) < SET_ASIDE_FOR);
        self.next = self.stream.floor();
        self.ahead.clear();
        self.reading = false;
    }

    /// The stream.
    pub fn stream(&self) -> &B {
        &self.stream
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a message is at hand.
    pub fn is_ready(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Leaves a message out, for now.
    pub fn set_aside(&mut self, sequence: u64, now: Instant) {
        if self.aside.len() >= SET_ASIDE_MAX {
            self.aside.pop_first();
        }
        self.aside.insert(sequence, now);
    }

    /// The next message, if one is at hand that was neither evicted since it was read nor set
    /// aside.
    pub fn pop(&mut self) -> Option<Record> {
        let floor = self.stream.floor();
        while let Some(record) = self.ahead.pop_front() {
            if record.sequence >= floor && !self.aside.contains_key(&record.sequence) {
                return Some(record);
            }
        }
        None
    }

    /// Notes that this message is sent; whether it had been before.
    pub fn note_sent(&mut self, sequence: u64) -> bool {
        let again = sequence < self.sent_to;
        self.sent_to = self.sent_to.max(sequence + 1);
        again
    }

    /// A read to be driven to its end, if it is time for one: it waits until there is something.
    /// At most one is under way.
    pub fn fetch(&mut self, lane: usize) -> Option<impl Future<Output = Fetched> + Send + use<B>> {
        if self.reading || self.ahead.len() >= AHEAD_RECORDS_MIN {
            return None;
        }
        self.reading = true;
        let (stream, from) = (self.stream.clone(), self.next);
        Some(async move { (lane, read_when_there(&stream, from).await) })
    }

    /// Takes in what a read brought.
    pub fn fetched(&mut self, result: Result<Chunk, BacklogError>) -> Result<(), BacklogError> {
        self.reading = false;
        let chunk = result?;
        self.next = chunk.next.max(self.next);
        self.ahead.extend(chunk.records);
        Ok(())
    }
}

async fn read_when_there<B: Backlog>(stream: &B, from: u64) -> Result<Chunk, BacklogError> {
    let mut end = stream.durable_end();
    if end.wait_for(|end| *end > from).await.is_err() {
        // The queue is closed: nothing will ever come.
        std::future::pending::<()>().await;
    }
    let result = match stream.read(from, READ_RECORDS_MAX, READ_BYTES_MAX).await {
        Ok(chunk) if chunk.next <= from => {
            Err(BacklogError(format!("a read from {from} made no progress")))
        }
        result => result,
    };
    if result.is_err() {
        tokio::time::sleep(READ_RETRY).await;
    }
    result
}
