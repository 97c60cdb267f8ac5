//! Runs an attached connection.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    ending::End,
    intake::Intake,
    pace::{Overdue, Pace},
};
use crate::broker::{
    codec::{Decoder, Will},
    hub::Hub,
    session::{Link, Session, Signals},
};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of output that are gathered before the socket must take some.
const OUT_BYTES: usize = 64 * 1024;
/// Bytes of output at which reading pauses: a client that takes no answers is not asked for more.
const OUT_PAUSE_BYTES: usize = 4 * OUT_BYTES;
/// Buffers above this are given back when they are empty, so that an idle connection is small.
const IDLE_BYTES: usize = 512;

thread_local! {
    // Reading goes through one buffer per thread; a connection only keeps a packet's beginning.
    pub(super) static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// What [`super::open()`] found out.
pub(super) struct Opened {
    pub session: Arc<Session>,
    pub link: Link,
    pub keep_alive: Duration,
    /// How long the session outlives the connection.
    pub keep: Duration,
    pub will: Option<Box<Will>>,
    pub decoder: Decoder,
    pub input: BytesMut,
    pub out: BytesMut,
}

/// A running connection.
pub(in crate::broker) struct Driver<S> {
    pub(super) io: S,
    pub(super) hub: Arc<Hub>,
    pub(super) session: Arc<Session>,
    pub(super) link: Link,
    pub(super) decoder: Decoder,
    /// The beginning of a packet, or packets that wait until more is wanted.
    input: BytesMut,
    /// `input` may hold whole packets.
    stalled: bool,
    pub(super) out: BytesMut,
    /// Written, but perhaps still in TLS's hands.
    pub(super) unflushed: bool,
    pub(super) intake: Intake,
    /// The client's messages at QoS 1 and 2 that are not settled [MQTT-3.3.4-7].
    pub(super) unsettled: usize,
    pub(super) aliases: Vec<Option<Arc<str>>>,
    pub(super) pace: Pace,
    /// Something may be sent from the outbox.
    pub(super) fill: bool,
    pub(super) keep: Duration,
    pub(super) will: Option<Box<Will>>,
    pub(super) ending: Option<End>,
    /// Nothing can be written any more.
    pub(super) broken: bool,
    pub(super) farewell: bool,
    /// The farewell had something to say.
    pub(super) farewell_said: bool,
    pub(super) detached: bool,
}

impl<S> Driver<S> {
    pub(super) fn new(io: S, hub: Arc<Hub>, opened: Opened) -> Self {
        Self {
            io,
            hub,
            session: opened.session,
            link: opened.link,
            decoder: opened.decoder,
            input: opened.input,
            stalled: true,
            out: opened.out,
            unflushed: false,
            intake: Intake::default(),
            unsettled: 0,
            aliases: Vec::new(),
            pace: Pace::new(opened.keep_alive, Instant::now()),
            fill: true,
            keep: opened.keep,
            will: opened.will,
            ending: None,
            broken: false,
            farewell: false,
            farewell_said: false,
            detached: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Runs the connection to its end.
    pub async fn run(mut self) {
        if self.hub.shutdown.is_cancelled() {
            self.end(End::Shutdown);
        }
        poll_fn(|cx| self.poll(cx)).await;
        Box::pin(self.finish()).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut progress = self.poll_write(cx);
            progress |= self.poll_intake(cx);
            progress |= self.poll_signals(cx);
            progress |= self.poll_read(cx);
            progress |= self.fill_out();
            if let Poll::Ready(overdue) = self.pace.poll(cx) {
                self.overdue(overdue);
                progress = true;
            }
            if self.ending.is_some() && self.intake.is_idle() && self.poll_farewell(cx).is_ready() {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while !self.out.is_empty() && !self.broken {
            match Pin::new(&mut self.io).poll_write(cx, &self.out) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    self.out.advance(written);
                    self.unflushed = true;
                    self.pace.written();
                    progress = true;
                }
                Poll::Ready(_) => self.lost(),
                Poll::Pending => {
                    self.pace.blocked();
                    return progress;
                }
            }
        }
        if self.broken {
            self.out.clear();
        }
        if self.out.is_empty() && self.out.capacity() > IDLE_BYTES {
            self.out = BytesMut::new();
        }
        if self.unflushed && !self.broken {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.pace.written();
                }
                Poll::Ready(Err(_)) => self.lost(),
                Poll::Pending => self.pace.blocked(),
            }
        }
        progress
    }

    fn poll_intake(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = self.intake.poll_delivered(cx).is_ready();
        progress |= self.intake.submit(&self.hub.door, &self.session.source);
        if let Poll::Ready(decided) = self.intake.poll_decided(cx) {
            let accepted = self.acknowledge(decided);
            // The acknowledgements leave before the subscribers' turn.
            self.poll_write(cx);
            self.intake.deliver(&self.hub.door, accepted);
            progress = true;
        }
        progress
    }

    fn poll_signals(&mut self, cx: &Context<'_>) -> bool {
        let signals = self.session.take_signals(cx.waker());
        if signals.is_empty() {
            return false;
        }
        self.fill |= signals.contains(Signals::WORK);
        if signals.contains(Signals::TAKEN_OVER) {
            self.end(End::TakenOver);
        } else if signals.contains(Signals::SHUTDOWN) {
            self.end(End::Shutdown);
        }
        true
    }

    fn wants_more(&self) -> bool {
        self.ending.is_none() && !self.intake.is_full() && self.out.len() < OUT_PAUSE_BYTES
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.wants_more() {
            // Silence is the broker's own doing now.
            self.pace.heard(Instant::now());
            return false;
        }
        if self.stalled {
            self.parse_input();
            return true;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.pace.heard(Instant::now());
                    self.take_in(buffer.filled());
                }
                Poll::Ready(_) => self.lost(),
                Poll::Pending => return false,
            }
            true
        })
    }

    /// Takes bytes as they come; only what is left of them is kept.
    fn take_in(&mut self, bytes: &[u8]) {
        if self.input.is_empty() {
            let parsed = self.parse(bytes);
            self.input.extend_from_slice(&bytes[parsed..]);
        } else {
            self.input.extend_from_slice(bytes);
            self.parse_input();
        }
    }

    fn parse_input(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let parsed = self.parse(&input);
        input.advance(parsed);
        if !input.is_empty() {
            self.input = input;
        }
    }

    /// Handles whole packets while more are wanted; how many bytes they were.
    fn parse(&mut self, bytes: &[u8]) -> usize {
        let mut parsed = 0;
        while self.wants_more() {
            match self.decoder.next(&bytes[parsed..]) {
                Ok(Some((packet, size))) => {
                    parsed += size;
                    self.handle(packet);
                }
                Ok(None) => {
                    self.stalled = false;
                    return parsed;
                }
                Err(malformed) => self.end(End::Malformed(malformed)),
            }
        }
        self.stalled = true;
        parsed
    }

    fn fill_out(&mut self) -> bool {
        if !self.fill || self.ending.is_some() || self.out.len() >= OUT_BYTES {
            return false;
        }
        let before = self.out.len();
        self.hub.switchboard.fill(&self.session, self.link, OUT_BYTES, &mut self.out);
        self.fill = self.out.len() >= OUT_BYTES;
        self.out.len() > before
    }

    fn overdue(&mut self, overdue: Overdue) {
        match overdue {
            Overdue::KeepAlive => {
                self.hub.counters.keep_alive_timeouts.add(1);
                self.end(End::KeepAlive);
            }
            Overdue::Write => {
                self.hub.counters.write_timeouts.add(1);
                self.broken = true;
                self.pace.written();
                self.end(End::WriteTimeout);
            }
        }
    }

    fn lost(&mut self) {
        self.broken = true;
        self.pace.written();
        self.end(End::Lost);
    }
}
