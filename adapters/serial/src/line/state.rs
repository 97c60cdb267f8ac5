//! What a line is doing, and what it makes of what it hears.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{DeviceName, Outcome, Quality, Reading, Timestamp};
use tokio::sync::oneshot;
use tracing::debug;

use crate::{
    batch::{Batch, Bundle},
    counters::{Count, Tally},
    decode::{Decoder, NoFields},
    frame::{Event, Framer},
    plan::Plan,
};

/// How much of a bad frame goes into the log.
const LOGGED_BYTES_MAX: usize = 120;

/// The state of one line, across openings of its port.
#[derive(Debug)]
pub struct Line {
    pub(super) name: String,
    pub(super) device: DeviceName,
    pub(super) topic: String,
    pub(super) decoder: Decoder,
    pub(super) framer: Framer,
    pub(super) gap: Option<Duration>,
    pub(super) poll_interval: Option<Duration>,
    pub(super) answer_timeout: Duration,
    pub(super) silent_after: Option<Duration>,
    pub(super) batch: Batch,
    pub(super) tally: Arc<Tally>,
    pub(super) sequence: u64,
    pub(super) readings: Vec<Reading>,
    /// Whether the outage under way was reported.
    pub(super) offline_reported: bool,
    pub(super) silence_reported: bool,
    pub(super) last_byte: Instant,
    pub(super) last_good: Instant,
    pub(super) next_poll: Option<Instant>,
    pub(super) awaited: Option<Awaited>,
    pub(super) write: Option<Unconfirmed>,
}

/// An answer to a poll that is due.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) until: Instant,
    /// Whether a damaged frame came instead.
    pub(super) damaged: bool,
}

/// A write that the device has not confirmed yet.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    pub(super) answer: Vec<u8>,
    pub(super) until: Instant,
    /// `None` once the time was up: the line then stays busy for as long again, so that a late
    /// answer is not taken for that of the next write.
    pub(super) reply: Option<oneshot::Sender<Outcome>>,
}

impl Line {
    /// A line whose port is not open yet.
    pub fn new(plan: Plan, tally: Arc<Tally>, now: Instant) -> Self {
        Self {
            name: plan.name,
            device: plan.device,
            topic: plan.topic,
            decoder: plan.decoder,
            framer: plan.framer,
            gap: plan.gap,
            poll_interval: plan.poll.map(|poll| poll.interval),
            answer_timeout: plan.answer_timeout,
            silent_after: plan.silent_after,
            batch: Batch::new(plan.interval),
            tally,
            sequence: 0,
            readings: Vec::new(),
            offline_reported: false,
            silence_reported: false,
            last_byte: now,
            last_good: now,
            next_poll: None,
            awaited: None,
            write: None,
        }
    }

    /// The readings that are ready to go out.
    pub fn take_readings(&mut self) -> Vec<Reading> {
        std::mem::take(&mut self.readings)
    }

    /// Whether an exchange with the device is under way: another must wait.
    pub fn is_busy(&self) -> bool {
        self.awaited.is_some() || self.write.is_some()
    }

    /// The port was opened.
    pub fn opened(&mut self, now: Instant) {
        self.tally.one(Count::Opened);
        self.offline_reported = false;
        self.silence_reported = false;
        self.last_byte = now;
        self.last_good = now;
        self.next_poll = self.poll_interval.map(|_| now);
        self.lose_place();
    }

    /// The port could not be opened, or failed. True if it was there before.
    pub fn lost(&mut self, reason: &str, at: Timestamp) -> bool {
        self.tally.one(Count::PortErrors);
        self.stopped(reason);
        let news = !std::mem::replace(&mut self.offline_reported, true);
        if news {
            self.report(Quality::Offline, at);
        }
        news
    }

    /// Nobody listens any more: what was gathered goes out, what was awaited will not come.
    pub fn stopped(&mut self, reason: &str) {
        let mut events = Vec::new();
        self.framer.give_up(&mut events);
        self.count_leftovers(&events);
        self.awaited = None;
        if let Some(reply) = self.write.take().and_then(|write| write.reply) {
            self.fail(reply, format!("{reason}; the device may have taken the write"));
        }
        self.flush();
    }

    /// Readings were taken so slowly that the kernel may have dropped bytes meanwhile.
    pub fn held_back(&mut self) {
        self.tally.one(Count::HeldBack);
        self.lose_place();
    }

    /// The device said something.
    pub fn heard(&mut self, bytes: &[u8], now: Instant, at: Timestamp) {
        self.tally.add(Count::Bytes, bytes.len());
        self.last_byte = now;
        let mut events = Vec::new();
        self.framer.push(bytes, &mut events);
        self.take_in(events, now, at);
    }

    /// The write that was just sent is confirmed by a frame that contains `answer`.
    pub fn expect_confirmation(
        &mut self,
        answer: Vec<u8>,
        reply: oneshot::Sender<Outcome>,
        now: Instant,
    ) {
        self.write =
            Some(Unconfirmed { answer, until: now + self.answer_timeout, reply: Some(reply) });
    }

    pub(super) fn fail(&self, reply: oneshot::Sender<Outcome>, reason: String) {
        self.tally.one(Count::WritesFailed);
        // Whoever sent the command may have stopped waiting; nobody else wants to know.
        let _ = reply.send(Outcome::Failed { reason });
    }

    /// What comes next may be the middle of a frame, unless frames tell that themselves.
    fn lose_place(&mut self) {
        let mut events = Vec::new();
        if self.decoder.format.proves_itself() {
            self.framer.give_up(&mut events);
        } else {
            self.framer.lose_place(&mut events);
        }
        self.count_leftovers(&events);
    }

    pub(super) fn count_leftovers(&self, events: &[Event]) {
        for event in events {
            if let Event::Partial(bytes) = event {
                self.log_bad(Count::FramesPartial, "its end never came", bytes);
            }
        }
    }

    pub(super) fn take_in(&mut self, events: Vec<Event>, now: Instant, at: Timestamp) {
        for event in events {
            match event {
                Event::Frame(frame) => self.take_frame(&frame, now, at),
                Event::Partial(bytes) => {
                    self.log_bad(Count::FramesPartial, "its start or its end is missing", &bytes);
                }
                Event::CheckFailed(bytes) => {
                    self.log_bad(Count::FramesChecksum, "its check is wrong", &bytes);
                    self.mark_damaged();
                }
                Event::TooLong => {
                    self.log_bad(Count::FramesTooLong, "it is longer than frame.bytes_max", b"");
                    self.mark_damaged();
                }
                Event::Noise(bytes) => self.tally.add(Count::NoiseBytes, bytes),
            }
        }
    }

    fn take_frame(&mut self, frame: &[u8], now: Instant, at: Timestamp) {
        self.tally.one(Count::Frames);
        if let Some(write) = self.write.take_if(|write| contains(frame, &write.answer)) {
            if let Some(reply) = write.reply {
                // The sender may have stopped waiting; the write is done all the same.
                let _ = reply.send(Outcome::Done { readback: None });
            }
            return;
        }
        match self.decoder.decode(frame) {
            Ok(points) => {
                self.last_good = now;
                self.silence_reported = false;
                self.awaited = None;
                let invalid = points.iter().filter(|(_, point)| point.value.is_none()).count();
                self.tally.add(Count::ValuesInvalid, invalid);
                let bundle = self.batch.add(points, at, now);
                self.emit(bundle);
            }
            Err(error @ NoFields::Unmatched) => {
                self.log_bad(Count::FramesUnmatched, &error.to_string(), frame);
            }
            Err(error @ NoFields::Checksum(_)) => {
                self.log_bad(Count::FramesChecksum, &error.to_string(), frame);
                self.mark_damaged();
            }
            Err(error @ NoFields::Garbled(_)) => {
                self.log_bad(Count::FramesGarbled, &error.to_string(), frame);
                self.mark_damaged();
            }
        }
    }

    fn mark_damaged(&mut self) {
        if let Some(awaited) = &mut self.awaited {
            awaited.damaged = true;
        }
    }

    fn log_bad(&self, count: Count, reason: &str, frame: &[u8]) {
        self.tally.one(count);
        let shown = frame[..frame.len().min(LOGGED_BYTES_MAX)].escape_ascii();
        debug!(adapter = %self.name, reason, frame = %shown, "a frame is not used");
    }

    pub(super) fn flush(&mut self) {
        let bundle = self.batch.take();
        self.emit(bundle);
    }

    /// Reports all points as having no value.
    pub(super) fn report(&mut self, quality: Quality, at: Timestamp) {
        let points = self.decoder.without_values(quality);
        let points: Vec<_> = points.into_iter().map(|(_, point)| point).collect();
        self.emit((!points.is_empty()).then_some((at, points)));
    }

    fn emit(&mut self, bundle: Option<Bundle>) {
        let Some((at, points)) = bundle else { return };
        self.tally.one(Count::Readings);
        self.readings.push(Reading {
            device: self.device.clone(),
            topic: self.topic.clone(),
            at,
            sequence: self.sequence,
            points,
        });
        self.sequence += 1;
    }
}

fn contains(frame: &[u8], wanted: &[u8]) -> bool {
    frame.windows(wanted.len().max(1)).any(|window| window == wanted)
}
