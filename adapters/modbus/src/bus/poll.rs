//! One poll of one device, read by read.

use std::{collections::VecDeque, time::Instant};

use holdfast_adapter_api::{Quality, Timestamp};
use tokio_modbus::{ExceptionCode, Response};

use super::{
    device::Device,
    exchange::{NoReply, Reply, read},
    link::Link,
};
use crate::{
    counters::Tallies,
    plan::{Batch, Limits},
};

/// What a poll found of one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Words(Vec<u16>),
    Bit(bool),
    Nothing(Quality),
}

/// A poll that has begun. Between its reads, commands may use the bus.
#[derive(Debug)]
pub(super) struct Poll {
    /// The device's index.
    pub(super) device: usize,
    pub(super) at: Timestamp,
    pub(super) found: Vec<Found>,
    queue: VecDeque<Batch>,
    /// The reads that the device can do, in order.
    learned: Vec<Batch>,
    asked: bool,
    answered: bool,
    broken_off: bool,
    split: bool,
    found_missing: bool,
}

impl Poll {
    pub(super) fn start(index: usize, device: &Device, at: Timestamp, now: Instant) -> Self {
        let mut queue: VecDeque<Batch> = device.batches.iter().cloned().collect();
        queue.extend(device.recheck(now));
        Self {
            device: index,
            at,
            found: vec![Found::Nothing(Quality::Config); device.map.points.len()],
            queue,
            learned: Vec::new(),
            asked: false,
            answered: false,
            broken_off: false,
            split: false,
            found_missing: false,
        }
    }

    /// Does one read. Returns whether the poll is finished.
    pub(super) async fn step(
        &mut self,
        link: &mut Link,
        device: &mut Device,
        tallies: &Tallies,
        retries: u8,
    ) -> bool {
        let Some(batch) = self.queue.pop_front() else { return true };
        self.asked = true;
        match read(link, device, tallies, batch.span, retries).await {
            Ok(Reply { answer: Ok(response), .. }) => {
                self.answered = true;
                self.take(device, &batch, &response);
                for point in &batch.points {
                    device.missing.remove(point);
                }
                self.learned.push(batch);
            }
            Ok(Reply { answer: Err(code), certain }) => {
                self.refused(device, batch, code, certain);
            }
            Err(NoReply::Damaged) => {
                self.miss(&batch, Quality::Crc);
                self.learned.push(batch);
            }
            Err(NoReply::Down) => self.break_off(&batch, Quality::Offline),
            Err(NoReply::Timeout | NoReply::TooLate) => {
                let given_up = device.health.is_offline();
                let quality = if given_up { Quality::Offline } else { Quality::Timeout };
                self.break_off(&batch, quality);
            }
            Err(NoReply::Invalid) => {
                self.miss(&batch, Quality::Config);
                self.learned.push(batch);
            }
        }
        self.queue.is_empty()
    }

    /// Whether the device answered at all.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// The device's health and reads after this poll.
    pub(super) fn finish(self, device: &mut Device, limits: Limits, now: Instant) {
        if self.answered {
            if device.health.answered() {
                tracing::info!(device = %device.map.name, "answers again");
            }
        } else if self.asked && device.health.failed(now) {
            device.tally.went_offline.add(1_u64);
            tracing::warn!(
                device = %device.map.name,
                unit = device.map.unit,
                "does not answer; it is only probed from now on"
            );
        }
        if !self.broken_off {
            // Where a missing point was the reason to split, its neighbours can be joined again.
            let join = self.split && self.found_missing;
            device.batches = if join { joined(self.learned, device, limits) } else { self.learned };
        }
    }

    fn take(&mut self, device: &Device, batch: &Batch, response: &Response) {
        for point in &batch.points {
            let range = batch.range(device.map.spans[*point]);
            let found = match response {
                Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => {
                    words.get(range).map(|words| Found::Words(words.to_vec()))
                }
                Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) => {
                    bits.get(range.start).map(|bit| Found::Bit(*bit))
                }
                _ => None,
            };
            self.found[*point] = found.unwrap_or(Found::Nothing(Quality::Config));
        }
    }

    /// The device answered with an exception. If that can be the fault of single points, the
    /// read is split to find them.
    fn refused(&mut self, device: &mut Device, batch: Batch, code: ExceptionCode, certain: bool) {
        use ExceptionCode::{
            GatewayPathUnavailable, GatewayTargetDevice, IllegalDataAddress, IllegalDataValue,
        };
        match code {
            // A gateway speaks here, and says that the device does not.
            GatewayPathUnavailable | GatewayTargetDevice => {
                self.break_off(&batch, Quality::Exception(code.into()));
                return;
            }
            // Some devices answer a read that is too long, or over a gap, with 3 instead of 2.
            IllegalDataAddress | IllegalDataValue if certain => {
                self.answered = true;
                if let Some((left, right)) = batch.split(&device.map.spans) {
                    self.split = true;
                    self.queue.push_front(right);
                    self.queue.push_front(left);
                    return;
                }
                if code == IllegalDataAddress {
                    self.found_missing = true;
                    let now = Instant::now();
                    for point in &batch.points {
                        device.lacks(*point, now);
                    }
                    self.miss(&batch, Quality::Config);
                    return;
                }
            }
            _ => self.answered = true,
        }
        self.miss(&batch, Quality::Exception(code.into()));
        self.learned.push(batch);
    }

    fn miss(&mut self, batch: &Batch, quality: Quality) {
        for point in &batch.points {
            self.found[*point] = Found::Nothing(quality);
        }
    }

    /// The device is silent: the rest of the poll would only hold up the bus.
    fn break_off(&mut self, batch: &Batch, quality: Quality) {
        self.broken_off = true;
        self.miss(batch, quality);
        for batch in std::mem::take(&mut self.queue) {
            self.miss(&batch, quality);
        }
    }
}

fn joined(batches: Vec<Batch>, device: &Device, limits: Limits) -> Vec<Batch> {
    let mut joined: Vec<Batch> = Vec::new();
    for batch in batches {
        let whole = joined.last().and_then(|last| last.joined(&batch, &device.map.spans, limits));
        match (joined.last_mut(), whole) {
            (Some(last), Some(whole)) => *last = whole,
            _ => joined.push(batch),
        }
    }
    joined
}
