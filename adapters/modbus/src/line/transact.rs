//! One transaction: a request, and its answer or the reason why there is none.

use std::{
    io,
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{Io, Pace, wire::Wire};
use crate::frame::{
    Answer, Discarded, Query, RTU_OVERHEAD_BYTES, RtuReceiver, Step, TcpReceiver, rtu_frame,
    tcp_frame,
};

/// After a damaged answer, this much silence means that nothing more will come.
const SILENCE_AFTER_DAMAGE: Duration = Duration::from_millis(50);

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// Nothing that answers the request came in time.
    #[error("no answer in time")]
    Timeout,
    /// What came was damaged.
    #[error("the answer was damaged")]
    Damaged,
    /// The moment until which the request could be sent had passed. Nothing was sent.
    #[error("it was too late to send the request")]
    TooLate,
    /// The port or connection is lost.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What a transaction took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Time during which nothing else could use the line.
    pub(crate) busy: Duration,
    pub(crate) sent: u32,
    pub(crate) received: u32,
    pub(crate) discarded: Discarded,
}

/// An open port or connection, and how frames travel on it.
#[derive(Debug)]
pub(crate) struct Line {
    wire: Wire,
    framing: Framing,
    response_timeout: Duration,
}

#[derive(Debug)]
enum Framing {
    Rtu { echo: bool },
    Tcp { receiver: TcpReceiver, transaction: u16 },
}

impl Line {
    /// A serial line; `echo` says that it returns what is sent.
    pub(crate) fn rtu(io: Box<dyn Io>, pace: Pace, response_timeout: Duration, echo: bool) -> Self {
        Self { wire: Wire::new(io, pace), framing: Framing::Rtu { echo }, response_timeout }
    }

    /// A TCP connection.
    pub(crate) fn tcp(io: Box<dyn Io>, response_timeout: Duration) -> Self {
        let framing = Framing::Tcp { receiver: TcpReceiver::default(), transaction: 0 };
        Self { wire: Wire::new(io, Pace::network()), framing, response_timeout }
    }

    /// Whether this is a serial line, which has to be quiet after a failure. A TCP connection
    /// has to be opened anew instead.
    pub(crate) fn is_serial(&self) -> bool {
        matches!(self.framing, Framing::Rtu { .. })
    }

    /// Sends a request, unless it is after `not_after`, and waits for its answer. Never to be
    /// cancelled: half a request on the wire disturbs whoever talks next.
    pub(crate) async fn transact(
        &mut self,
        unit: u8,
        query: &Query,
        not_after: Option<Instant>,
    ) -> (Result<Answer, Failure>, Spent) {
        let started = Instant::now();
        let mut exchange = Exchange {
            wire: &mut self.wire,
            unit,
            query,
            not_after,
            response_timeout: self.response_timeout,
            spent: Spent::default(),
        };
        let result = match &mut self.framing {
            Framing::Rtu { echo } => exchange.over_rtu(echo).await,
            Framing::Tcp { receiver, transaction } => {
                *transaction = transaction.wrapping_add(1);
                exchange.over_tcp(receiver, *transaction).await
            }
        };
        let spent = Spent { busy: started.elapsed(), ..exchange.spent };
        (result, spent)
    }

    /// Whether a connection was closed by the other side while it was idle, or has delivered
    /// what nobody asked for. A serial line is looked at when a request is sent.
    pub(crate) async fn is_spoilt(&mut self) -> bool {
        !self.is_serial() && !matches!(self.wire.purge().await, Ok(0))
    }

    /// Listens until the line has been silent for `late_grace`. Returns how many bytes came.
    pub(crate) async fn quarantine(&mut self, late_grace: Duration) -> io::Result<u32> {
        self.wire.quarantine(late_grace).await
    }
}

struct Exchange<'a> {
    wire: &'a mut Wire,
    unit: u8,
    query: &'a Query,
    not_after: Option<Instant>,
    response_timeout: Duration,
    spent: Spent,
}

impl Exchange<'_> {
    async fn over_rtu(&mut self, echo: &mut bool) -> Result<Answer, Failure> {
        self.spent.discarded.bytes += self.wire.wait_for_silence().await?;
        let frame = rtu_frame(self.unit, self.query.pdu());
        let mut receiver = RtuReceiver::new(self.unit, &frame, *echo);
        let sent_at = self.send(&frame).await?;
        let returned = self.query.answer_bytes() + RTU_OVERHEAD_BYTES;
        let on_wire = self.wire.pace.on_wire(frame.len() + returned);
        let deadline = sent_at + on_wire + self.response_timeout;
        let answer = self.await_answer(&mut receiver, deadline).await;
        let discarded = receiver.discarded();
        self.spent.discarded.mismatches += discarded.mismatches;
        self.spent.discarded.bytes += discarded.bytes;
        self.spent.discarded.echoes += discarded.echoes;
        // Once a line was found to echo, only what comes after the echo counts, also for writes.
        *echo |= discarded.echoes > 0;
        match answer? {
            Some(answer) => Ok(answer),
            None if receiver.is_damaged() => Err(Failure::Damaged),
            None => Err(Failure::Timeout),
        }
    }

    async fn await_answer(
        &mut self,
        receiver: &mut RtuReceiver,
        deadline: Instant,
    ) -> io::Result<Option<Answer>> {
        loop {
            let until = if receiver.is_hopeless() {
                deadline.min(Instant::now() + SILENCE_AFTER_DAMAGE)
            } else {
                deadline
            };
            let Some(bytes) = self.wire.receive(until).await? else { return Ok(None) };
            self.spent.received += bytes.len() as u32;
            if let Step::Answer(answer) = receiver.receive(bytes, self.query) {
                return Ok(Some(answer));
            }
            // A line that never falls silent must not hold up the bus for ever.
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    async fn over_tcp(
        &mut self,
        receiver: &mut TcpReceiver,
        transaction: u16,
    ) -> Result<Answer, Failure> {
        let frame = tcp_frame(transaction, self.unit, self.query.pdu());
        let deadline = self.send(&frame).await? + self.response_timeout;
        loop {
            let received = self.wire.receive(deadline).await?.ok_or(Failure::Timeout)?;
            self.spent.received += received.len() as u32;
            let step = receiver.receive(received, transaction, self.unit, self.query);
            self.spent.discarded.mismatches += receiver.take_discarded().mismatches;
            match step {
                Step::More if Instant::now() < deadline => {}
                Step::More => return Err(Failure::Timeout),
                Step::Answer(answer) => return Ok(answer),
                Step::Broken => return Err(Failure::Damaged),
            }
        }
    }

    async fn send(&mut self, frame: &[u8]) -> Result<Instant, Failure> {
        if self.not_after.is_some_and(|not_after| Instant::now() >= not_after) {
            return Err(Failure::TooLate);
        }
        let sent_at = self.wire.send(frame).await?;
        self.spent.sent += frame.len() as u32;
        Ok(sent_at)
    }
}
