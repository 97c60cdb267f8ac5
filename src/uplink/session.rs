//! One connection, from its SUBSCRIBE to its end.
//!
//! Everything happens in one task: take what the streams have, as far as the window, the throttle
//! and the link allow; write and read; settle what was acknowledged. Subscriptions come first, so
//! that commands that waited at the cloud are not behind the backlog.

use std::{
    collections::VecDeque,
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use rumqttc::{Packet, PubComp, Publish, SubAck};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::{
    backlog::Backlog,
    caution::{Caution, End},
    departures::{Departures, Fetches, Staged},
    downlink::Arrivals,
    failure::Failure,
    keepalive::{Keepalive, Pulse},
    link::Link,
    settings::Settings,
    status::Reporter,
    subscriptions::Subscriptions,
    window::{Overdue, Window},
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

/// What a session works with, and what outlives it.
pub struct Parts<'a, B> {
    pub settings: &'a Settings,
    pub departures: &'a mut Departures<B>,
    pub report: &'a mut Reporter,
    pub arrivals: Arrivals,
}

/// One connection.
pub struct Session<'a, B> {
    parts: Parts<'a, B>,
    link: Link,
    window: Window,
    fetches: Fetches,
    /// Packets other than PUBLISH that wait for the link.
    control: VecDeque<Packet>,
    subscriptions: Subscriptions,
    keepalive: Keepalive,
    /// `ack_timeout`, lengthened after connections that brought nothing.
    ack_timeout: Duration,
    acknowledged: u64,
    /// Set when the uplink is stopping: until when it waits for acknowledgements.
    stopping: Option<Instant>,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<'a, B: Backlog> Session<'a, B> {
    /// A session on a fresh link.
    pub fn new(parts: Parts<'a, B>, link: Link, caution: &Caution) -> Self {
        let now = now();
        let settings = parts.settings;
        let inflight_max = if caution.one_at_a_time() { 1 } else { settings.inflight_max };
        let (subscriptions, packets) = Subscriptions::ask(
            &settings.filters,
            settings.profile.filters_per_subscribe_max,
            now + settings.ack_timeout.min(SUBACK_TIMEOUT_MAX),
        );
        parts.report.counts().subscriptions_refused = 0;
        parts.departures.rewind(now);
        Self {
            window: Window::new(inflight_max, settings.profile.inflight_bytes_max, now),
            keepalive: Keepalive::new(
                settings.keep_alive,
                settings.ack_timeout.min(settings.keep_alive),
                now,
            ),
            ack_timeout: settings.ack_timeout.saturating_mul(caution.patience()),
            parts,
            link,
            fetches: Fetches::new(),
            control: packets.into(),
            subscriptions,
            acknowledged: 0,
            stopping: None,
        }
    }

    /// Runs until the connection fails (`Err`) or the uplink was stopped (`Ok`); and what there
    /// is to learn from its end.
    pub async fn run(mut self, stop: &CancellationToken) -> (Result<(), Failure>, End) {
        let result = self.pump(stop).await;
        self.parts.report.counts().in_flight = 0;
        let oldest = self.window.open().next();
        let end = End {
            acknowledged: self.acknowledged,
            oldest: oldest.map(|ticket| (*ticket, self.window.messages() == 1)),
            closed_by_cloud: result.as_ref().err().is_some_and(Failure::is_closed_by_cloud),
        };
        (result, end)
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
            if self.stopping.is_none() {
                self.parts.departures.fetch(&self.fetches);
            }
            let throttled = self.fill(now)?;
            set(&mut timer, self.next_deadline(now, throttled));
            tokio::select! {
                turned = self.link.turn(&mut packets) => {
                    turned?;
                    for packet in packets.drain(..) {
                        self.receive(packet)?;
                    }
                }
                Some(fetched) = self.fetches.next(), if !self.fetches.is_empty() => {
                    self.parts.departures.fetched(fetched);
                }
                Some(packet) = self.parts.arrivals.acknowledgement() => {
                    self.control.push_back(packet);
                }
                () = &mut timer => {}
                () = stop.cancelled(), if self.stopping.is_none() => {
                    self.stopping = Some(now + STOP_GRACE);
                }
            }
        }
    }

    fn beat(&mut self, now: Instant) {
        self.parts.report.counts().in_flight = self.window.messages();
        self.parts.report.beat(now);
    }

    /// Gives the link what it and the window have room for; until when the throttle holds back.
    fn fill(&mut self, now: Instant) -> Result<Option<Instant>, Failure> {
        while self.link.has_room() {
            if let Some(packet) = self.control.pop_front() {
                self.link.push(packet)?;
                self.keepalive.note_sent(now);
                continue;
            }
            if self.stopping.is_some() || self.subscriptions.deadline().is_some() {
                break;
            }
            let Parts { departures, settings, report, .. } = &mut self.parts;
            let Some(bytes) = departures.next_bytes(settings, report) else { break };
            if !self.window.has_room(bytes) {
                break;
            }
            match departures.take(now) {
                Ok(Some(staged)) => self.send(staged, now)?,
                Ok(None) => break,
                Err(throttled) => return Ok(throttled),
            }
        }
        Ok(None)
    }

    fn send(&mut self, staged: Staged, now: Instant) -> Result<(), Failure> {
        let Staged { ticket, mut publish } = staged;
        publish.pkid = self.window.submit(ticket, now);
        self.keepalive.note_sent(now);
        let counts = self.parts.report.counts();
        counts.published += 1;
        counts.bytes += ticket.bytes as u64;
        counts.resent += u64::from(publish.dup);
        self.link.push(Packet::Publish(publish))
    }

    fn receive(&mut self, packet: Packet) -> Result<(), Failure> {
        let now = now();
        self.keepalive.note_received(now);
        match packet {
            Packet::PubAck(ack) => {
                if let Some(ticket) = self.window.acknowledge(ack.pkid, now) {
                    self.parts.departures.acknowledge(ticket);
                    self.parts.report.counts().acknowledged += 1;
                    self.acknowledged += 1;
                    self.window.widen(self.parts.settings.inflight_max);
                }
            }
            Packet::Publish(publish) => self.take(publish),
            Packet::SubAck(ack) => self.check_subscriptions(&ack),
            Packet::PubRel(release) => {
                self.control.push_back(Packet::PubComp(PubComp { pkid: release.pkid }));
            }
            Packet::PingResp => self.keepalive.note_answer(),
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
        for filter in self.subscriptions.answer(ack) {
            self.parts.report.counts().subscriptions_refused += 1;
            tracing::error!(
                filter,
                "the cloud refused this subscription: no commands will come by it; check \
                 commands.from, and what the cloud allows this gateway"
            );
        }
    }

    /// Finds out whether the other end is still there, and pings it when all is quiet.
    fn check_alive(&mut self, now: Instant) -> Result<(), Failure> {
        match self.window.overdue(self.ack_timeout, now) {
            Some(Overdue::Silent) => return Err(Failure::Unacknowledged(self.ack_timeout)),
            Some(Overdue::PassedOver(ticket)) => {
                let stream = self.parts.departures.stream_name(ticket).to_owned();
                return Err(Failure::PassedOver { stream, sequence: ticket.sequence });
            }
            None => {}
        }
        if self.subscriptions.give_up(now) {
            tracing::error!("the cloud did not answer SUBSCRIBE; commands may not come");
        }
        match self.keepalive.pulse(now) {
            Pulse::Fine => {}
            Pulse::Ask => self.control.push_back(Packet::PingReq),
            // On a slow line an answer may queue behind messages, which have a timeout themselves.
            Pulse::Lost if self.window.messages() > 0 => {}
            Pulse::Lost => return Err(Failure::PingTimeout(self.keepalive.timeout())),
        }
        Ok(())
    }

    fn next_deadline(&self, now: Instant, throttled: Option<Instant>) -> Instant {
        [
            self.window.deadline(self.ack_timeout),
            self.subscriptions.deadline(),
            throttled,
            self.stopping,
            // One that has passed without an end to the connection needs no other turn.
            Some(self.keepalive.deadline()).filter(|&deadline| deadline > now),
        ]
        .into_iter()
        .flatten()
        .fold(now + BEAT_INTERVAL, Instant::min)
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
