//! A connection's deadlines: keep-alive and writes, on one timer that is rarely touched.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How long a client may take nothing of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection that ends may take to take its last bytes.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    KeepAlive,
    Write,
}

/// The deadlines.
#[derive(Debug)]
pub(super) struct Pace {
    /// One and a half times the client's keep-alive [MQTT-3.1.2-24].
    silence_max: Option<Duration>,
    write_timeout: Duration,
    last_read: Instant,
    blocked_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub fn new(keep_alive: Duration, now: Instant) -> Self {
        Self {
            silence_max: (!keep_alive.is_zero()).then(|| keep_alive + keep_alive / 2),
            write_timeout: WRITE_TIMEOUT,
            last_read: now,
            blocked_since: None,
            timer: None,
        }
    }

    /// Something was read, or nothing is asked for.
    pub fn heard(&mut self, now: Instant) {
        self.last_read = now;
    }

    /// Something was written, or nothing is to be.
    pub fn written(&mut self) {
        self.blocked_since = None;
    }

    /// A write does not go on.
    pub fn blocked(&mut self) {
        self.blocked_since.get_or_insert_with(Instant::now);
    }

    /// The client is not listened to any more, and has little time for what is left.
    pub fn end(&mut self) {
        self.silence_max = None;
        self.write_timeout = LAST_WRITE_TIMEOUT;
    }

    fn next(&self) -> Option<(Instant, Overdue)> {
        let silence = self.silence_max.map(|max| (self.last_read + max, Overdue::KeepAlive));
        let write = self.blocked_since.map(|since| (since + self.write_timeout, Overdue::Write));
        match (silence, write) {
            (Some(silence), Some(write)) => Some(if write.0 < silence.0 { write } else { silence }),
            (one, other) => one.or(other),
        }
    }

    /// Resolves to what is overdue. The timer is moved only when it fires or must fire earlier.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        loop {
            let Some((deadline, overdue)) = self.next() else { return Poll::Pending };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(overdue);
            }
            timer.as_mut().reset(deadline);
        }
    }
}
