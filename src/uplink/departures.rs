//! What goes up next: all streams, the order among them, and the pace.

use std::{future::Future, pin::Pin, time::Instant};

use futures_util::stream::FuturesUnordered;
use rumqttc::{Publish, QoS};

use super::{
    backlog::Backlog,
    bucket::Throttle,
    encoding::encode,
    lane::{Fetched, Lane},
    scheduler::Scheduler,
    settings::Settings,
    status::Reporter,
    window::Ticket,
};

/// The reads that are under way.
pub type Fetches = FuturesUnordered<Pin<Box<dyn Future<Output = Fetched> + Send>>>;

/// A message that is ready to go.
#[derive(Debug)]
pub struct Staged {
    /// What the window has to know of it.
    pub ticket: Ticket,
    /// The packet, without its identifier; `dup` if it was sent before.
    pub publish: Publish,
}

/// What goes up next. Outlives connections.
#[derive(Debug)]
pub struct Departures<B> {
    lanes: Vec<Lane<B>>,
    scheduler: Scheduler,
    throttle: Throttle,
    staged: Option<Staged>,
}

impl<B: Backlog> Departures<B> {
    /// Departures from these streams.
    pub fn new(streams: Vec<B>, settings: &Settings, now: Instant) -> Self {
        let priorities: Vec<u8> = streams.iter().map(Backlog::priority).collect();
        Self {
            lanes: streams.into_iter().map(Lane::new).collect(),
            scheduler: Scheduler::new(&priorities),
            throttle: Throttle::new(
                settings.messages_per_second_max,
                settings.bytes_per_second_max,
                now,
            ),
            staged: None,
        }
    }

    /// Goes back, in every stream, to the first message that is not settled.
    pub fn rewind(&mut self, now: Instant) {
        self.staged = None;
        for lane in &mut self.lanes {
            lane.rewind(now);
        }
    }

    /// Keeps a read under way for every stream that has little at hand.
    pub fn fetch(&mut self, fetches: &Fetches) {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(fetch) = lane.fetch(index) {
                fetches.push(Box::pin(fetch));
            }
        }
    }

    /// Takes in what a read brought.
    pub fn fetched(&mut self, (index, result): Fetched) {
        let lane = &mut self.lanes[index];
        if let Err(error) = lane.fetched(result) {
            let stream = lane.name();
            tracing::error!(stream, %error, "the queue could not be read; it is read again");
        }
    }

    /// The size of the message that goes next, if there is one. The same until it is taken.
    pub fn next_bytes(&mut self, settings: &Settings, report: &mut Reporter) -> Option<usize> {
        while self.staged.is_none() {
            let lanes = &mut self.lanes;
            let index = self.scheduler.next(|index| lanes[index].is_ready())?;
            self.staged = stage(index, &mut lanes[index], settings, report);
        }
        self.staged.as_ref().map(|staged| staged.ticket.bytes)
    }

    /// Takes the message whose size was told, unless the throttle holds it back: until when.
    pub fn take(&mut self, now: Instant) -> Result<Option<Staged>, Option<Instant>> {
        let bytes = self.staged.as_ref().map_or(0, |staged| staged.ticket.bytes);
        self.throttle.admit(bytes as u64, now).map_err(|wait| now.checked_add(wait))?;
        let mut staged = self.staged.take();
        if let Some(Staged { ticket, publish }) = &mut staged {
            publish.dup = self.lanes[ticket.stream].note_sent(ticket.sequence);
        }
        Ok(staged)
    }

    /// The cloud has this message.
    pub fn acknowledge(&self, ticket: Ticket) {
        // False is a message that was evicted or expired while it was in flight.
        let _ = self.lanes[ticket.stream].stream().acknowledge(ticket.sequence);
    }

    /// Leaves a message out, for now.
    pub fn set_aside(&mut self, ticket: Ticket, now: Instant) {
        self.lanes[ticket.stream].set_aside(ticket.sequence, now);
    }

    /// The name of a message's stream.
    pub fn stream_name(&self, ticket: Ticket) -> &str {
        self.lanes[ticket.stream].name()
    }
}

/// Makes the next message of a stream ready; `None` where the cloud would not take it.
fn stage<B: Backlog>(
    index: usize,
    lane: &mut Lane<B>,
    settings: &Settings,
    report: &mut Reporter,
) -> Option<Staged> {
    let record = lane.pop()?;
    let payload = encode(lane.stream().encoding(), &settings.gateway, lane.name(), &record);
    let limits = &settings.profile.limits;
    if !limits.admit_topic(&record.topic) || !limits.admit_payload(payload.len()) {
        let count = &mut report.counts().unsendable;
        *count += 1;
        // Each one is named at first; a whole backlog of them must not fill the log.
        if count.is_power_of_two() {
            tracing::error!(
                stream = lane.name(),
                sequence = record.sequence,
                topic = record.topic,
                bytes = payload.len(),
                count,
                "the cloud does not take such a message; it is passed over, and stays in the \
                 queue until it is too old"
            );
        }
        return None;
    }
    let bytes = record.topic.len() + payload.len();
    Some(Staged {
        ticket: Ticket { stream: index, sequence: record.sequence, bytes },
        publish: Publish::from_bytes(record.topic, QoS::AtLeastOnce, payload),
    })
}
