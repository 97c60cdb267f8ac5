//! Gets one answer that can be trusted to be the answer to its request.

use std::time::Instant;

use tokio_modbus::{ExceptionCode, Response};

use super::{device::Device, link::Link};
use crate::{
    counters::Tallies,
    frame::{Answer, InvalidRequest, Query},
    line::{Failure, Spent},
    owed::Owed,
    plan::Span,
};

/// How many sizes of read serve to find out whether a unit still owes answers.
const FENCE_SIZES_MAX: u16 = 4;

/// A device's answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// Whether an exception is surely the answer to this request, and not to an earlier one.
    pub(super) certain: bool,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoReply {
    Timeout,
    Damaged,
    TooLate,
    Down,
    /// The request breaks the protocol; the configuration's check is there to prevent this.
    Invalid,
}

impl From<InvalidRequest> for NoReply {
    fn from(_: InvalidRequest) -> Self {
        Self::Invalid
    }
}

/// Reads, with retries if the device was well before.
pub(super) async fn read(
    link: &mut Link,
    device: &mut Device,
    tallies: &Tallies,
    span: Span,
    retries: u8,
) -> Result<Reply, NoReply> {
    let query = Query::new(span.read())?;
    let retries = if device.health.is_well() { retries } else { 0 };
    let mut reply = ask(link, device, tallies, &query, span, None).await;
    for _ in 0..retries {
        match reply {
            Err(NoReply::Timeout | NoReply::Damaged) => {}
            // A connection that the other side had closed is made anew without more ado.
            Err(NoReply::Down) if link.lost().is_none() => {}
            _ => break,
        }
        reply = ask(link, device, tallies, &query, span, None).await;
    }
    reply
}

/// Asks once. `near` is a range that the device has, to find out whether it still owes answers.
pub(super) async fn ask(
    link: &mut Link,
    device: &mut Device,
    tallies: &Tallies,
    query: &Query,
    near: Span,
    not_after: Option<Instant>,
) -> Result<Reply, NoReply> {
    let unit = device.map.unit;
    if link.owed(unit).is_full(Instant::now()) {
        return Err(NoReply::Timeout);
    }
    if link.owed(unit).could_be(query.shape(), Instant::now()) {
        let fence = fence(link.owed(unit), query, near).ok_or(NoReply::Timeout)?;
        device.tally.fences.add(1_u64);
        transact(link, device, tallies, &fence, None).await?;
        if link.owed(unit).could_be(query.shape(), Instant::now()) {
            return Err(NoReply::Timeout);
        }
    }
    transact(link, device, tallies, query, not_after).await
}

/// A read whose answer cannot be mistaken for the one to come, and best for none that is owed.
fn fence(owed: &mut Owed, query: &Query, near: Span) -> Option<Query> {
    // Answers to reads of bits differ in length only every eight bits.
    let step = if near.table.is_bits() { 8 } else { 1 };
    let sizes = (0..FENCE_SIZES_MAX).map(|size| 1 + size * step);
    let fences = sizes.filter_map(|count| Query::new(Span { count, ..near }.read()).ok());
    let fences: Vec<Query> = fences.filter(|fence| fence.shape() != query.shape()).collect();
    let now = Instant::now();
    let best = fences.iter().find(|fence| !owed.could_be(fence.shape(), now));
    best.or(fences.first()).cloned()
}

async fn transact(
    link: &mut Link,
    device: &mut Device,
    tallies: &Tallies,
    query: &Query,
    not_after: Option<Instant>,
) -> Result<Reply, NoReply> {
    device.asked_at = Some(Instant::now());
    let line = link.line().await.map_err(|_| NoReply::Down)?;
    let (result, spent) = line.transact(device.map.unit, query, not_after).await;
    count(tallies, device, &result, spent);
    let now = Instant::now();
    let owed = link.owed(device.map.unit);
    match result {
        Ok(Ok(response)) => {
            owed.answered(query.shape(), now);
            Ok(Reply { answer: Ok(response), certain: true })
        }
        Ok(Err(code)) => {
            let certain = owed.refused(query.shape(), now);
            Ok(Reply { answer: Err(code), certain })
        }
        Err(Failure::TooLate) => Err(NoReply::TooLate),
        Err(failure) => {
            owed.add(query.shape(), now);
            match failure {
                Failure::Io(error) => {
                    link.fail(&error);
                    Err(NoReply::Down)
                }
                Failure::Damaged => {
                    link.recover().await;
                    Err(NoReply::Damaged)
                }
                Failure::Timeout | Failure::TooLate => {
                    link.recover().await;
                    Err(NoReply::Timeout)
                }
            }
        }
    }
}

fn count(
    tallies: &Tallies,
    device: &Device,
    result: &Result<Result<Response, ExceptionCode>, Failure>,
    spent: Spent,
) {
    let tally = &device.tally;
    tally.mismatches.add(spent.discarded.mismatches);
    tally.stale_bytes.add(spent.discarded.bytes);
    tallies.bus.busy_micros.add_micros(spent.busy);
    tallies.bus.bytes_sent.add(spent.sent);
    tallies.bus.bytes_received.add(spent.received);
    tallies.bus.echoes.add(spent.discarded.echoes);
    if !matches!(result, Err(Failure::TooLate)) {
        tally.requests.add(1_u64);
    }
    match result {
        Ok(answer) => {
            tally.round_trip_micros.add_micros(spent.busy);
            match answer {
                Ok(_) => tally.ok.add(1_u64),
                Err(code) => tally.exception((*code).into()),
            }
        }
        Err(Failure::Timeout) => tally.timeouts.add(1_u64),
        Err(Failure::Damaged) => tally.crc_errors.add(1_u64),
        Err(Failure::TooLate | Failure::Io(_)) => {}
    }
}
