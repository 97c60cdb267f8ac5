//! What a line does because time has passed.

use std::time::{Duration, Instant};

use holdfast_adapter_api::{Quality, Timestamp};

use super::state::{Awaited, Line};
use crate::counters::Count;

/// A device that has been silent for this long was between two frames.
const QUIET: Duration = Duration::from_millis(100);
/// How long a poll waits for a device that does not stop talking.
const POLL_POSTPONED_MAX: Duration = Duration::from_secs(1);
/// What a line wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// The poll command is to be sent now.
    Poll,
}

impl Line {
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
}
