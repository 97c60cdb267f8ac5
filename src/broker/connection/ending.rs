//! How a connection ends: the reason said, the session let go of, the will published.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tracing::{debug, info, warn};

use super::driver::{Driver, SCRATCH};
use crate::broker::codec::{self, Malformed, Reason};

/// How long a client that was told why it is disconnected may take to hang up.
const LINGER: Duration = Duration::from_secs(1);
/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// DISCONNECT came; `true` where the will is to be published all the same.
    Disconnect(bool),
    /// The client closed it, or the network broke.
    Lost,
    /// The client broke the protocol.
    Malformed(Malformed),
    /// A message was refused, which MQTT 3.1.1 can only say by closing.
    Refused,
    KeepAlive,
    WriteTimeout,
    TakenOver,
    Shutdown,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Begins the end; the first reason counts.
    pub(super) fn end(&mut self, end: End) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(end);
        self.pace.end();
        let device = &*self.session.source.0;
        let client_id = &**self.session.client_id();
        match end {
            End::Disconnect(_) => debug!(device, client_id, "disconnected"),
            End::Lost => info!(device, client_id, "the connection was lost"),
            End::Malformed(error) => {
                self.hub.counters.protocol_errors.add(1);
                warn!(device, client_id, %error, "closed for breaking the protocol");
            }
            // Logged with the message's topic where it was refused.
            End::Refused => {}
            End::KeepAlive => info!(device, client_id, "closed for silence"),
            End::WriteTimeout => info!(device, client_id, "closed: it takes nothing"),
            End::TakenOver => {
                self.hub.counters.takeovers.add(1);
                info!(device, client_id, "closed for a newer connection of this client id");
            }
            End::Shutdown => debug!(device, client_id, "closed: the broker stops"),
        }
    }

    /// Says why, where the version knows a way, and closes.
    pub(super) fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.farewell {
            self.farewell = true;
            let reason = match self.ending {
                Some(End::Malformed(malformed)) => Some(malformed.reason),
                Some(End::KeepAlive) => Some(Reason::KEEP_ALIVE_TIMEOUT),
                Some(End::TakenOver) => Some(Reason::SESSION_TAKEN_OVER),
                Some(End::Shutdown) => Some(Reason::SERVER_SHUTTING_DOWN),
                _ => None,
            };
            if let Some(reason) = reason {
                codec::disconnect(self.link.version, reason, &mut self.out);
                self.farewell_said = !self.out.is_empty();
            }
        }
        self.poll_write(cx);
        if self.broken {
            return Poll::Ready(());
        }
        if !self.out.is_empty() || self.unflushed {
            return Poll::Pending;
        }
        // Whether the other end hears the close changes nothing.
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => {
                self.pace.blocked();
                Poll::Pending
            }
        }
    }

    /// Lets go of the session; publishes the will where it is due.
    pub(super) async fn finish(mut self) {
        self.detached = true;
        let will = self
            .will
            .take()
            .filter(|_| !matches!(self.ending, Some(End::Disconnect(false) | End::Shutdown)));
        let now = Instant::now();
        let will = will.map(|will| (now + Duration::from_secs(will.delay.into()), will));
        let (ended, due) = self.hub.registry.detach(&self.session, self.keep, will, now);
        if ended {
            self.hub.forget(&self.session);
        }
        if let Some(will) = due {
            let client_id = Some(self.session.client_id().clone());
            self.hub.publish_will(&self.session.source, client_id, *will).await;
        }
        if self.farewell_said && !self.broken {
            // Closed with bytes unread, the socket would be reset, and the client might lose the
            // reason that it was just sent. It has a moment to hang up itself.
            let listening = self.discard_input();
            let _ = tokio::time::timeout(LINGER, listening).await;
        }
    }

    async fn discard_input(&mut self) {
        loop {
            let read = poll_fn(|cx| {
                SCRATCH.with_borrow_mut(|scratch| {
                    let mut buffer = ReadBuf::new(scratch);
                    let read = Pin::new(&mut self.io).poll_read(cx, &mut buffer);
                    read.map_ok(|()| buffer.filled().len())
                })
            });
            if !matches!(read.await, Ok(count) if count > 0) {
                return;
            }
        }
    }
}

/// A driver that is dropped in the middle (the runtime ends, or a panic) lets go of its session
/// all the same.
impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        if !self.detached {
            let now = Instant::now();
            let (ended, _) = self.hub.registry.detach(&self.session, self.keep, None, now);
            if ended {
                self.hub.forget(&self.session);
            }
        }
    }
}
