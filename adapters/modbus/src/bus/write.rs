//! Carries out commands.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{Command, Outcome, Value};
use tokio_modbus::{ExceptionCode, Request, Response};

use super::{
    device::Device,
    exchange::{NoReply, Reply, ask, read},
    link::Link,
};
use crate::{counters::Tallies, frame::Query, map::PointMap, plan::Table, value::Write};

/// A device that is given up is asked at most this often on behalf of commands, so that
/// commands to a dead device cannot hold up the bus.
const OFFLINE_PAUSE: Duration = Duration::from_secs(5);

/// Reading back is tried again this often, since the write itself must not be.
const READBACK_RETRIES: u8 = 1;

/// What a command is carried out with.
pub(super) struct Desk<'a> {
    pub(super) link: &'a mut Link,
    pub(super) device: &'a mut Device,
    pub(super) tallies: &'a Tallies,
    pub(super) write_single: bool,
}

/// Why a command was not carried out, as an outcome.
type Refusal = Outcome;

impl Desk<'_> {
    /// Carries out a command for this device.
    pub(super) async fn carry_out(mut self, command: &Command) -> Outcome {
        self.attempt(command).await.unwrap_or_else(|refusal| refusal)
    }

    async fn attempt(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        let (point, write) = self.resolve(command)?;
        let now = Instant::now();
        if now >= command.deadline {
            return Err(Outcome::Expired);
        }
        let asked_at = self.device.asked_at;
        let just_asked = asked_at.is_some_and(|at| now.duration_since(at) < OFFLINE_PAUSE);
        if self.device.health.is_offline() && just_asked {
            return Err(failed(format!("{} is offline", self.device.map.name)));
        }
        let request = self.request(&point, write, command.deadline).await?;
        let (reply, request) = self.write(&point, request, command.deadline).await?;
        match reply.answer {
            Ok(_) => {}
            // With these two a gateway speaks, and says that the device does not.
            Err(
                code @ (ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice),
            ) => return Err(refused_by_device(code)),
            Err(code) => {
                self.device.health.answered();
                return Err(refused_by_device(code));
            }
        }
        self.device.health.answered();
        self.device.tally.writes.add(1_u64);
        self.read_back(&point, &request).await
    }

    /// The point, and what is to be written to it.
    fn resolve(&self, command: &Command) -> Result<(PointMap, Write), Refusal> {
        let map = &self.device.map;
        let rejected = |reason: String| Outcome::Rejected { reason };
        let point =
            map.points.iter().find(|point| point.name == command.point).ok_or_else(|| {
                rejected(format!("{} has no point {:?}", map.name, command.point))
            })?;
        if !point.writable {
            return Err(rejected(format!("{}.{} is not writable", map.name, point.name)));
        }
        let coil = point.span.table == Table::Coil;
        let write = point.codec.encode(&command.value, coil).map_err(|error| {
            rejected(format!("{}.{} cannot be written: {error}", map.name, point.name))
        })?;
        Ok((point.clone(), write))
    }

    async fn request(
        &mut self,
        point: &PointMap,
        write: Write,
        deadline: Instant,
    ) -> Result<Request<'static>, Refusal> {
        let address = point.span.address;
        Ok(match write {
            Write::Coil(bit) if self.write_single => Request::WriteSingleCoil(address, bit),
            Write::Coil(bit) => Request::WriteMultipleCoils(address, Cow::Owned(vec![bit])),
            Write::Words(words) => self.words(address, words),
            Write::Bits { mask, bits } if self.device.without_mask_write => {
                self.changed(point, mask, bits, deadline).await?
            }
            Write::Bits { mask, bits } => Request::MaskWriteRegister(address, !mask, bits),
        })
    }

    fn words(&self, address: u16, words: Vec<u16>) -> Request<'static> {
        match words[..] {
            [word] if self.write_single => Request::WriteSingleRegister(address, word),
            _ => Request::WriteMultipleRegisters(address, Cow::Owned(words)),
        }
    }

    /// For devices without function 22: the register as it is, with some bits changed. Nobody
    /// else writes on this bus in between; the device itself might.
    async fn changed(
        &mut self,
        point: &PointMap,
        mask: u16,
        bits: u16,
        deadline: Instant,
    ) -> Result<Request<'static>, Refusal> {
        let query = Query::new(point.span.read()).map_err(|error| failed(error.to_string()))?;
        let Self { link, device, tallies, .. } = self;
        let reply = ask(link, device, tallies, &query, point.span, Some(deadline)).await;
        match reply.map_err(|why| self.unanswered(why, false))?.answer {
            Ok(Response::ReadHoldingRegisters(words)) if words.len() == 1 => {
                Ok(self.words(point.span.address, vec![(words[0] & !mask) | bits]))
            }
            Ok(_) => Err(failed("the register could not be read before the write".to_owned())),
            Err(code) => Err(refused_by_device(code)),
        }
    }

    async fn write(
        &mut self,
        point: &PointMap,
        request: Request<'static>,
        deadline: Instant,
    ) -> Result<(Reply, Query), Refusal> {
        let query = Query::new(request).map_err(|error| failed(error.to_string()))?;
        let reply = self.send(point, &query, deadline).await?;
        let Request::MaskWriteRegister(_, and, or) = *query.request() else {
            return Ok((reply, query));
        };
        if reply.answer != Err(ExceptionCode::IllegalFunction) || !reply.certain {
            return Ok((reply, query));
        }
        self.device.without_mask_write = true;
        let request = self.changed(point, !and, or, deadline).await?;
        let query = Query::new(request).map_err(|error| failed(error.to_string()))?;
        Ok((self.send(point, &query, deadline).await?, query))
    }

    async fn send(
        &mut self,
        point: &PointMap,
        query: &Query,
        deadline: Instant,
    ) -> Result<Reply, Refusal> {
        let Self { link, device, tallies, .. } = self;
        let reply = ask(link, device, tallies, query, point.span, Some(deadline)).await;
        reply.map_err(|why| self.unanswered(why, true))
    }

    /// Reads a point back that was just written.
    async fn read_back(&mut self, point: &PointMap, query: &Query) -> Result<Outcome, Refusal> {
        let Self { link, device, tallies, .. } = self;
        let reply = read(link, device, tallies, point.span, READBACK_RETRIES).await;
        let readback = match reply {
            Ok(Reply { answer: Ok(response), .. }) => value(point, &response),
            // On a line that echoes unbeknown to us, this "answer" may have been the echo.
            Err(_) if query.is_answered_by_itself() => {
                return Err(failed(format!(
                    "{} seemed to confirm the write and then did not answer",
                    self.device.map.name
                )));
            }
            Ok(Reply { answer: Err(_), .. }) | Err(_) => None,
        };
        Ok(Outcome::Done { readback })
    }

    fn unanswered(&self, why: NoReply, written: bool) -> Outcome {
        let device = &self.device.map.name;
        let perhaps = if written { "; the write may have happened" } else { "" };
        match why {
            NoReply::TooLate => Outcome::Expired,
            NoReply::Timeout => failed(format!("{device} did not answer in time{perhaps}")),
            NoReply::Damaged => failed(format!("{device}'s answer was damaged{perhaps}")),
            NoReply::Down => {
                let line = self.link.describe();
                let reason = self.link.lost().unwrap_or("the connection broke");
                failed(format!("{device} cannot be reached over {line}: {reason}{perhaps}"))
            }
            NoReply::Invalid => failed(format!("{device} cannot be asked for this")),
        }
    }
}

fn failed(reason: String) -> Outcome {
    Outcome::Failed { reason }
}

fn refused_by_device(code: ExceptionCode) -> Outcome {
    failed(format!("the device refused with exception {} ({code})", u8::from(code)))
}

fn value(point: &PointMap, response: &Response) -> Option<Value> {
    match response {
        Response::ReadCoils(bits) => bits.first().map(|bit| Value::Bool(*bit)),
        Response::ReadHoldingRegisters(words) => point.codec.decode(words, None).ok(),
        _ => None,
    }
}
