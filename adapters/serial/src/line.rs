//! What is known of a line: pure, with the time and the bytes as arguments.
//!
//! The driver in [`crate::session`] tells a [`Line`] what it heard and what time it is, and
//! does what [`Line::woke`] says. Readings gather in the line until they are taken.

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

/// A device that has been silent for this long was between two frames.
const QUIET: Duration = Duration::from_millis(100);
/// How long a poll waits for a device that does not stop talking.
const POLL_POSTPONED_MAX: Duration = Duration::from_secs(1);
/// How much of a bad frame goes into the log.
const LOGGED_BYTES_MAX: usize = 120;

/// The state of one line, across openings of its port.
#[derive(Debug)]
pub struct Line {
    name: String,
    device: DeviceName,
    topic: String,
    decoder: Decoder,
    framer: Framer,
    gap: Option<Duration>,
    poll_interval: Option<Duration>,
    answer_timeout: Duration,
    silent_after: Option<Duration>,
    batch: Batch,
    tally: Arc<Tally>,
    sequence: u64,
    readings: Vec<Reading>,
    /// Whether the outage under way was reported; true until the port is open.
    offline_reported: bool,
    silence_reported: bool,
    last_byte: Instant,
    last_good: Instant,
    next_poll: Option<Instant>,
    awaited: Option<Awaited>,
    write: Option<Unconfirmed>,
}

/// An answer to a poll that is due.
#[derive(Debug)]
struct Awaited {
    until: Instant,
    /// Whether a damaged frame came instead.
    damaged: bool,
}

/// A write that the device has not confirmed yet.
#[derive(Debug)]
struct Unconfirmed {
    answer: Vec<u8>,
    until: Instant,
    /// `None` once the time was up: the line then stays busy for as long again, so that a late
    /// answer is not taken for that of the next write.
    reply: Option<oneshot::Sender<Outcome>>,
}

/// What a line wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// The poll command is to be sent now.
    Poll,
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

    /// When [`Line::woke`] is to be called, at the latest.
    pub fn wake_at(&self) -> Option<Instant> {
        [
            self.gap_due(),
            self.quiet_due(),
            self.poll_due(),
            self.awaited.as_ref().map(|awaited| awaited.until),
            self.write.as_ref().map(|write| write.until),
            self.batch.due(),
            self.silence_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Time has passed.
    pub fn woke(&mut self, now: Instant, at: Timestamp) -> Wish {
        let passed = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if passed(self.gap_due()) {
            let mut events = Vec::new();
            self.framer.gap_passed(&mut events);
            self.take_in(events, now, at);
        }
        if passed(self.quiet_due()) {
            self.framer.found_silent();
        }
        if passed(self.write.as_ref().map(|write| write.until)) {
            self.give_up_write(now);
        }
        if passed(self.awaited.as_ref().map(|awaited| awaited.until)) {
            self.give_up_answer(at);
        }
        if passed(self.batch.due()) {
            self.flush();
        }
        if passed(self.silence_due()) {
            self.silence_reported = true;
            self.flush();
            self.report(Quality::Timeout, at);
        }
        if passed(self.poll_due()) { self.begin_poll(now) } else { Wish::Nothing }
    }

    fn gap_due(&self) -> Option<Instant> {
        let waits = self.framer.is_mid_frame() || self.framer.is_lost();
        self.gap.filter(|_| waits).map(|gap| self.last_byte + gap)
    }

    /// When it will be known that the line was joined while it was silent.
    fn quiet_due(&self) -> Option<Instant> {
        let waits = self.framer.is_lost() && !self.framer.is_mid_frame();
        waits.then(|| self.last_byte + QUIET)
    }

    /// When the next poll may go out: not into the middle of what the device is saying.
    fn poll_due(&self) -> Option<Instant> {
        let due = self.next_poll.filter(|_| !self.is_busy())?;
        Some(due.max((self.last_byte + QUIET).min(due + POLL_POSTPONED_MAX)))
    }

    fn silence_due(&self) -> Option<Instant> {
        let waits = !self.silence_reported && !self.offline_reported;
        self.silent_after.filter(|_| waits).map(|silence| self.last_good + silence)
    }

    fn begin_poll(&mut self, now: Instant) -> Wish {
        let (Some(due), Some(interval)) = (self.next_poll, self.poll_interval) else {
            return Wish::Nothing;
        };
        if self.last_byte + QUIET <= now {
            // Half an answer from before must not become the start of the next one.
            let mut events = Vec::new();
            self.framer.give_up(&mut events);
            self.count_leftovers(&events);
        }
        // Polls keep to their grid; those whose time has passed are left out.
        let late = now.saturating_duration_since(due).as_nanos() / interval.as_nanos().max(1);
        let skipped = u32::try_from(late).unwrap_or(u32::MAX);
        self.tally.add(Count::PollsSkipped, skipped as usize);
        self.next_poll = Some(match interval.checked_mul(skipped.saturating_add(1)) {
            Some(step) => due + step,
            None => now + interval,
        });
        self.tally.one(Count::Polls);
        self.awaited = Some(Awaited { until: now + self.answer_timeout, damaged: false });
        Wish::Poll
    }

    fn give_up_answer(&mut self, at: Timestamp) {
        let Some(awaited) = self.awaited.take() else { return };
        self.tally.one(Count::Timeouts);
        self.flush();
        self.report(if awaited.damaged { Quality::Crc } else { Quality::Timeout }, at);
    }

    fn give_up_write(&mut self, now: Instant) {
        let Some(mut write) = self.write.take() else { return };
        let Some(reply) = write.reply.take() else { return };
        let (answer, timeout) = (write.answer.escape_ascii(), self.answer_timeout);
        let reason = format!("no '{answer}' came within {timeout:?}; it may have been written");
        self.fail(reply, reason);
        write.until = now + timeout;
        self.write = Some(write);
    }

    fn fail(&self, reply: oneshot::Sender<Outcome>, reason: String) {
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

    fn count_leftovers(&self, events: &[Event]) {
        for event in events {
            if let Event::Partial(bytes) = event {
                self.log_bad(Count::FramesPartial, "its end never came", bytes);
            }
        }
    }

    fn take_in(&mut self, events: Vec<Event>, now: Instant, at: Timestamp) {
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

    fn flush(&mut self) {
        let bundle = self.batch.take();
        self.emit(bundle);
    }

    /// Reports all points as having no value.
    fn report(&mut self, quality: Quality, at: Timestamp) {
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

#[cfg(test)]
mod tests;
