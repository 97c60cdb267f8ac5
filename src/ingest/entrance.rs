//! The entrance itself: limits, route, durable append; then local subscribers.

use std::{pin::Pin, sync::Arc};

use super::{Door, Routes, Source, Submission, Verdict, counters::IngestCounters};
use crate::{
    broker::{Message, Switchboard},
    clock::SystemClock,
    queue::{AppendError, NewRecord, Queue, Refusal, StreamId},
};

/// The one entrance of the gateway.
#[derive(Debug)]
pub struct Ingest {
    routes: Routes,
    queue: Queue,
    switchboard: Arc<Switchboard>,
    clock: Arc<SystemClock>,
    counters: IngestCounters,
}

impl Ingest {
    /// An entrance that appends to `queue` and hands on to `switchboard`.
    pub fn new(
        routes: Routes,
        queue: Queue,
        switchboard: Arc<Switchboard>,
        clock: Arc<SystemClock>,
    ) -> Self {
        Self { routes, queue, switchboard, clock, counters: IngestCounters::default() }
    }

    /// What came in and what was refused since the start.
    pub fn counters(&self) -> &IngestCounters {
        &self.counters
    }

    /// Sorts a batch: what goes up becomes records, and each message gets its verdict but for
    /// the disk's.
    fn sort(&self, source: &Source, batch: &[Message]) -> Sorted {
        let stamp = self.clock.stamp();
        let mut sorted = Sorted {
            verdicts: vec![Verdict::Accepted; batch.len()],
            records: Vec::with_capacity(batch.len()),
            positions: Vec::with_capacity(batch.len()),
        };
        for (position, message) in batch.iter().enumerate() {
            let bytes = message.payload.len();
            let Some(to) = self.routes.destination(&source.0, &message.topic, bytes) else {
                continue;
            };
            match to.topic {
                Ok(topic) => {
                    let payload = message.payload.clone();
                    let record = NewRecord { source: source.0.clone(), topic, payload, stamp };
                    sorted.records.push((to.stream, record));
                    sorted.positions.push(position);
                }
                Err(reason) => {
                    self.queue.refuse(to.stream, &source.0, reason);
                    sorted.verdicts[position] = Verdict::Refused(reason);
                }
            }
        }
        sorted
    }

    /// Appends what goes up and completes the verdicts with the disk's answers.
    async fn append(&self, source: &Source, sorted: Sorted) -> Vec<Verdict> {
        let Sorted { mut verdicts, records, positions } = sorted;
        if records.is_empty() {
            return verdicts;
        }
        let streams: Vec<StreamId> = records.iter().map(|(stream, _)| *stream).collect();
        let results = self.queue.append(records).await;
        for ((result, position), stream) in results.into_iter().zip(positions).zip(streams) {
            if let Err(error) = result {
                let reason = refusal(error);
                self.queue.refuse(stream, &source.0, reason);
                verdicts[position] = Verdict::Refused(reason);
            }
        }
        verdicts
    }
}

struct Sorted {
    verdicts: Vec<Verdict>,
    records: Vec<(StreamId, NewRecord)>,
    /// For each record, its message's place in the batch.
    positions: Vec<usize>,
}

impl Door for Ingest {
    fn submit<'a>(&'a self, source: &'a Source, batch: &'a [Message]) -> Submission<'a> {
        Box::pin(async move {
            let sorted = self.sort(source, batch);
            let verdicts = self.append(source, sorted).await;
            self.counters.count(&verdicts);
            verdicts
        })
    }

    fn deliver(&self, message: Message) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
        Box::pin(self.switchboard.publish(message))
    }
}

fn refusal(error: AppendError) -> Refusal {
    match error {
        AppendError::StreamFull => Refusal::StreamFull,
        AppendError::StorageFailed | AppendError::Closed => Refusal::StorageFailed,
    }
}
