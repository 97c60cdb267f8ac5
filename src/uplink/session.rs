//! One connection, from its SUBSCRIBE to its end.
//!
//! Everything happens in one task: take what the streams have, as far as the window, the throttle
//! and the link allow; write and read; settle what was acknowledged. Subscriptions come first, so
//! that commands that waited at the cloud are not behind the backlog.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rumqttc::{
    Packet, PubComp, Publish, QoS, SubAck, Subscribe, SubscribeFilter, SubscribeReasonCode,
};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::{
    backlog::Backlog,
    bucket::Throttle,
    downlink::Arrivals,
    encoding::encode,
    failure::Failure,
    lane::{Fetched, Lane},
    link::Link,
    scheduler::Scheduler,
    settings::Settings,
    status::Reporter,
    window::{Overdue, PKID_MAX, Ticket, Window},
};

/// How long a stopping uplink waits for acknowledgements.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long it then takes to say good-bye.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long messages wait for SUBACK at most; then they go first.
const SUBACK_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// The longest time without a beat.
const BEAT_INTERVAL: Duration = Duration::from_millis(500);
/// Room kept in the list of packets that one turn reads.
const PACKETS_CAPACITY: usize = 256;

type Fetches = FuturesUnordered<Pin<Box<dyn Future<Output = Fetched> + Send>>>;

/// What a session works with, and what outlives it.
pub struct Parts<'a, B> {
    pub settings: &'a Settings,
    pub lanes: &'a mut [Lane<B>],
    pub scheduler: &'a mut Scheduler,
    pub throttle: &'a mut Throttle,
    pub report: &'a mut Reporter,
    pub arrivals: Arrivals,
}

/// A message that is ready to go, and waits for room.
struct Staged {
    ticket: Ticket,
    publish: Publish,
}

/// One connection.
pub struct Session<'a, B> {
    parts: Parts<'a, B>,
    link: Link,
    window: Window,
    fetches: Fetches,
    staged: Option<Staged>,
    /// Packets other than PUBLISH that wait for the link.
    control: VecDeque<Packet>,
    /// SUBSCRIBEs that are not answered yet, and until when messages wait for them.
    unanswered: Vec<(u16, Vec<String>)>,
    publish_from: Instant,
    sent: Instant,
    received: Instant,
    pinged: Option<Instant>,
    /// Set when the uplink is stopping: until when it waits for acknowledgements.
    stopping: Option<Instant>,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<'a, B: Backlog> Session<'a, B> {
    /// A session on a fresh link.
    pub fn new(parts: Parts<'a, B>, link: Link) -> Self {
        let now = now();
        let settings = parts.settings;
        let mut session = Self {
            window: Window::new(settings.inflight_max, settings.profile.inflight_bytes_max, now),
            parts,
            link,
            fetches: FuturesUnordered::new(),
            staged: None,
            control: VecDeque::new(),
            unanswered: Vec::new(),
            publish_from: now + settings.ack_timeout.min(SUBACK_TIMEOUT_MAX),
            sent: now,
            received: now,
            pinged: None,
            stopping: None,
        };
        session.subscribe();
        for lane in session.parts.lanes.iter_mut() {
            lane.rewind();
        }
        session
    }

    /// Runs until the connection fails (`Err`) or the uplink was stopped (`Ok`).
    pub async fn run(mut self, stop: &CancellationToken) -> Result<(), Failure> {
        let result = self.pump(stop).await;
        self.parts.report.counts().in_flight = 0;
        result
    }

    async fn pump(&mut self, stop: &CancellationToken) -> Result<(), Failure> {
        let mut packets = Vec::with_capacity(PACKETS_CAPACITY);
        let mut timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        loop {
            let now = now();
            self.beat(now);
            self.check_alive(now)?;
            if self.stopping.is_some_and(|until| self.window.messages() == 0 || until <= now) {
                return self.say_goodbye().await;
            }
            self.fetch();
            let throttled = self.fill(now)?;
            set(&mut timer, self.next_deadline(now, throttled));
            tokio::select! {
                turned = self.link.turn(&mut packets) => {
                    turned?;
                    for packet in packets.drain(..) {
                        self.receive(packet)?;
                    }
                }
                Some((lane, fetched)) = self.fetches.next(), if !self.fetches.is_empty() => {
                    if let Err(error) = self.parts.lanes[lane].fetched(fetched) {
                        let stream = self.parts.lanes[lane].name();
                        tracing::error!(stream, %error, "the queue could not be read; trying again");
                    }
                }
                Some(packet) = self.parts.arrivals.acknowledgement() => {
                    self.control.push_back(packet);
                }
                () = &mut timer => {}
                () = stop.cancelled(), if self.stopping.is_none() => {
                    self.stopping = Some(now + STOP_GRACE);
                    self.staged = None;
                }
            }
        }
    }

    fn subscribe(&mut self) {
        let settings = self.parts.settings;
        let per_packet = settings.profile.filters_per_subscribe_max;
        self.parts.report.counts().subscriptions_refused = 0;
        for (index, filters) in settings.filters.chunks(per_packet).enumerate() {
            let pkid = PKID_MAX + 1 + index as u16;
            let wanted =
                filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
            let mut packet = Subscribe::new_many(wanted);
            packet.pkid = pkid;
            self.control.push_back(Packet::Subscribe(packet));
            self.unanswered.push((pkid, filters.to_vec()));
        }
    }

    fn beat(&mut self, now: Instant) {
        self.parts.report.counts().in_flight = self.window.messages();
        self.parts.report.beat(now);
    }

    /// Keeps a read under way for every stream that has room.
    fn fetch(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        for (index, lane) in self.parts.lanes.iter_mut().enumerate() {
            if let Some(fetch) = lane.fetch(index) {
                self.fetches.push(Box::pin(fetch));
            }
        }
    }

    /// Gives the link what it and the window have room for; until when the throttle holds back.
    fn fill(&mut self, now: Instant) -> Result<Option<Instant>, Failure> {
        let published = self.parts.report.counts().published;
        let mut throttled = None;
        while self.link.has_room() {
            if let Some(packet) = self.control.pop_front() {
                self.link.push(packet)?;
                self.sent = now;
                continue;
            }
            let Some(bytes) = self.stage(now) else { break };
            if !self.window.has_room(bytes) {
                break;
            }
            if let Err(wait) = self.parts.throttle.admit(bytes as u64, now) {
                throttled = now.checked_add(wait);
                break;
            }
            if let Some(staged) = self.staged.take() {
                self.send(staged, now)?;
            }
        }
        if self.parts.report.counts().published != published {
            self.sent = now;
        }
        Ok(throttled)
    }

    /// Makes sure that a message is ready to go; its size, or `None` where none is to go.
    fn stage(&mut self, now: Instant) -> Option<usize> {
        let held_back = !self.unanswered.is_empty() && now < self.publish_from;
        if self.stopping.is_some() || held_back {
            return None;
        }
        while self.staged.is_none() {
            let lanes = &mut *self.parts.lanes;
            let index = self.parts.scheduler.next(|index| lanes[index].is_ready())?;
            let lane = &mut lanes[index];
            let Some(record) = lane.pop() else { continue };
            let settings = self.parts.settings;
            let payload = encode(lane.stream().encoding(), &settings.gateway, lane.name(), &record);
            let limits = &settings.profile.limits;
            if !limits.admit_topic(&record.topic) || !limits.admit_payload(payload.len()) {
                self.parts.report.counts().unsendable += 1;
                let count = self.parts.report.counts().unsendable;
                // Named one by one at first; a whole backlog of them must not fill the log.
                if count.is_power_of_two() {
                    tracing::error!(
                        stream = lane.name(),
                        sequence = record.sequence,
                        topic = record.topic,
                        bytes = payload.len(),
                        count,
                        "the cloud does not take this message; it is passed over, and stays in \
                         the queue until it is too old"
                    );
                }
                continue;
            }
            let bytes = record.topic.len() + payload.len();
            let ticket = Ticket { stream: index, sequence: record.sequence, bytes };
            let publish = Publish::from_bytes(record.topic, QoS::AtLeastOnce, payload);
            self.staged = Some(Staged { ticket, publish });
        }
        self.staged.as_ref().map(|staged| staged.ticket.bytes)
    }

    fn send(&mut self, staged: Staged, now: Instant) -> Result<(), Failure> {
        let Staged { ticket, mut publish } = staged;
        let again = self.parts.lanes[ticket.stream].note_sent(ticket.sequence);
        publish.pkid = self.window.submit(ticket, now);
        publish.dup = again;
        let counts = self.parts.report.counts();
        counts.published += 1;
        counts.bytes += ticket.bytes as u64;
        counts.resent += u64::from(again);
        self.link.push(Packet::Publish(publish))
    }

    fn receive(&mut self, packet: Packet) -> Result<(), Failure> {
        let now = now();
        self.received = now;
        match packet {
            Packet::PubAck(ack) => {
                if let Some(ticket) = self.window.acknowledge(ack.pkid, now) {
                    self.parts.lanes[ticket.stream].stream().acknowledge(ticket.sequence);
                    self.parts.report.counts().acknowledged += 1;
                }
            }
            Packet::Publish(publish) => self.take(publish),
            Packet::SubAck(ack) => self.check_subscriptions(&ack),
            Packet::PubRel(release) => {
                self.control.push_back(Packet::PubComp(PubComp { pkid: release.pkid }));
            }
            Packet::PingResp => self.pinged = None,
            other => return Err(Failure::Protocol(format!("unexpected {other:?}"))),
        }
        Ok(())
    }

    fn take(&mut self, publish: Publish) {
        self.parts.report.counts().received += 1;
        let topic = publish.topic.clone();
        if !self.parts.arrivals.take(publish) {
            tracing::warn!(
                topic,
                "too many messages from the cloud at once: this one is not acknowledged, so that \
                 it comes again"
            );
        }
    }

    fn check_subscriptions(&mut self, ack: &SubAck) {
        let Some(at) = self.unanswered.iter().position(|(pkid, _)| *pkid == ack.pkid) else {
            return;
        };
        let (_, filters) = self.unanswered.swap_remove(at);
        for (index, filter) in filters.iter().enumerate() {
            let granted =
                matches!(ack.return_codes.get(index), Some(SubscribeReasonCode::Success(_)));
            if !granted {
                self.parts.report.counts().subscriptions_refused += 1;
                tracing::error!(
                    filter,
                    "the cloud refused this subscription: no commands will come by it; check \
                     commands.from, and what the cloud allows this gateway"
                );
            }
        }
    }

    /// Finds out whether the other end is still there, and pings it when all is quiet.
    fn check_alive(&mut self, now: Instant) -> Result<(), Failure> {
        let settings = self.parts.settings;
        match self.window.overdue(settings.ack_timeout, now) {
            Some(Overdue::Silent) => return Err(Failure::Unacknowledged(settings.ack_timeout)),
            Some(Overdue::PassedOver(ticket)) => {
                let stream = self.parts.lanes[ticket.stream].name().to_owned();
                return Err(Failure::PassedOver { stream, sequence: ticket.sequence });
            }
            None => {}
        }
        if now >= self.publish_from && !self.unanswered.is_empty() {
            tracing::error!("the cloud did not answer SUBSCRIBE; no commands may come");
            self.unanswered.clear();
        }
        let timeout = settings.ack_timeout.min(settings.keep_alive);
        match self.pinged {
            Some(at) if now.saturating_duration_since(at) >= timeout => {
                Err(Failure::PingTimeout(timeout))
            }
            None if now >= self.sent.min(self.received) + settings.keep_alive => {
                self.pinged = Some(now);
                self.control.push_back(Packet::PingReq);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn next_deadline(&self, now: Instant, throttled: Option<Instant>) -> Instant {
        let settings = self.parts.settings;
        let ping = match self.pinged {
            Some(at) => at + settings.ack_timeout.min(settings.keep_alive),
            None => self.sent.min(self.received) + settings.keep_alive,
        };
        let subscribed = (!self.unanswered.is_empty()).then_some(self.publish_from);
        [self.window.deadline(settings.ack_timeout), throttled, subscribed, self.stopping]
            .into_iter()
            .flatten()
            .fold(ping.min(now + BEAT_INTERVAL), Instant::min)
    }

    /// Sends what is left of control packets and DISCONNECT.
    async fn say_goodbye(&mut self) -> Result<(), Failure> {
        self.control.push_back(Packet::Disconnect);
        let mut packets = Vec::new();
        let farewell = async {
            loop {
                while self.link.has_room() {
                    match self.control.pop_front() {
                        Some(packet) => self.link.push(packet)?,
                        None if self.link.is_written() => return Ok(()),
                        None => break,
                    }
                }
                self.link.turn(&mut packets).await?;
                packets.clear();
            }
        };
        tokio::time::timeout(DISCONNECT_TIMEOUT, farewell).await.unwrap_or(Ok(()))
    }
}

/// Moves the timer forward, or back if it has rung. One that rings early does no harm.
fn set(timer: &mut Pin<Box<Sleep>>, deadline: Instant) {
    let deadline = tokio::time::Instant::from_std(deadline);
    if timer.is_elapsed() || deadline < timer.deadline() {
        timer.as_mut().reset(deadline);
    }
}
