//! Whether the other end of a quiet connection is still there.

use std::time::{Duration, Instant};

/// What to do about a connection's silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// Nothing.
    Fine,
    /// Ask with PINGREQ; it counts as asked.
    Ask,
    /// Give the connection up: the question was not answered.
    Lost,
}

/// The pings of one connection.
#[derive(Debug, Clone)]
pub struct Keepalive {
    interval: Duration,
    timeout: Duration,
    sent: Instant,
    received: Instant,
    asked: Option<Instant>,
}

impl Keepalive {
    /// Pings after `interval` of silence in either direction, and waits `timeout` for an answer.
    pub fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self { interval, timeout, sent: now, received: now, asked: None }
    }

    /// Something was sent.
    pub fn note_sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Something was received.
    pub fn note_received(&mut self, now: Instant) {
        self.received = now;
    }

    /// PINGRESP was received.
    pub fn note_answer(&mut self) {
        self.asked = None;
    }

    /// What to do now.
    pub fn pulse(&mut self, now: Instant) -> Pulse {
        if now < self.deadline() {
            Pulse::Fine
        } else if self.asked.is_some() {
            Pulse::Lost
        } else {
            self.asked = Some(now);
            Pulse::Ask
        }
    }

    /// When [`Keepalive::pulse`] is worth asking next.
    pub fn deadline(&self) -> Instant {
        match self.asked {
            Some(at) => at + self.timeout,
            None => self.sent.min(self.received) + self.interval,
        }
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keepalive(now: Instant) -> Keepalive {
        Keepalive::new(30 * SECOND, 10 * SECOND, now)
    }

    #[test]
    fn silence_in_one_direction_is_enough_to_ask() {
        let start = Instant::now();
        let mut keepalive = keepalive(start);
        keepalive.note_received(start + 20 * SECOND);
        assert_eq!(keepalive.pulse(start + 29 * SECOND), Pulse::Fine);
        assert_eq!(keepalive.pulse(start + 30 * SECOND), Pulse::Ask);
        assert_eq!(keepalive.pulse(start + 31 * SECOND), Pulse::Fine);
    }

    #[test]
    fn a_question_without_an_answer_ends_the_connection() {
        let start = Instant::now();
        let mut keepalive = keepalive(start);
        assert_eq!(keepalive.pulse(start + 30 * SECOND), Pulse::Ask);
        assert_eq!(keepalive.deadline(), start + 40 * SECOND);
        assert_eq!(keepalive.pulse(start + 40 * SECOND), Pulse::Lost);
    }

    #[test]
    fn traffic_in_both_directions_needs_no_question_and_an_answer_resets_it() {
        let start = Instant::now();
        let mut keepalive = keepalive(start);
        for second in 1..100 {
            let now = start + second * SECOND;
            keepalive.note_sent(now);
            keepalive.note_received(now);
            assert_eq!(keepalive.pulse(now), Pulse::Fine);
        }
        let now = start + 129 * SECOND;
        assert_eq!(keepalive.pulse(now), Pulse::Ask);
        keepalive.note_sent(now);
        keepalive.note_received(now + SECOND);
        keepalive.note_answer();
        assert_eq!(keepalive.pulse(now + 29 * SECOND), Pulse::Fine);
    }
}
