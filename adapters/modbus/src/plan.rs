//! Which reads fetch the points of a device: as few as the limits allow.

use std::ops::Range;

use serde::Deserialize;
use tokio_modbus::Request;

#[cfg(test)]
mod tests;

/// The most coils or discrete inputs one read may ask for (Modbus Application Protocol 1.1b3,
/// 6.1).
pub(crate) const BITS_PER_READ: u16 = 2_000;

/// A gap costs as much in bits as in registers when it has sixteen times as many.
const BITS_PER_REGISTER: u16 = 16;

/// The four address spaces of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Registers that can be written (functions 3, 6, 16, 22).
    #[default]
    Holding,
    /// Registers that can only be read (function 4).
    Input,
    /// Bits that can be written (functions 1, 5, 15).
    Coil,
    /// Bits that can only be read (function 2).
    Discrete,
}

impl Table {
    /// Whether it holds bits and not registers.
    pub(crate) fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }

    /// The request that reads a range of it.
    pub(crate) fn read(self, address: u16, count: u16) -> Request<'static> {
        match self {
            Self::Holding => Request::ReadHoldingRegisters(address, count),
            Self::Input => Request::ReadInputRegisters(address, count),
            Self::Coil => Request::ReadCoils(address, count),
            Self::Discrete => Request::ReadDiscreteInputs(address, count),
        }
    }
}

/// Where one point lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) table: Table,
    pub(crate) address: u16,
    /// Registers or bits; at least 1, and `address + count` is at most 65536.
    pub(crate) count: u16,
}

impl Span {
    fn end(self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }

    /// The request that reads it.
    pub(crate) fn read(self) -> Request<'static> {
        self.table.read(self.address, self.count)
    }
}

/// The limits of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) registers_max: u16,
    pub(crate) gap_max: u16,
}

/// One read, and the points (by index) that it fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) span: Span,
    pub(crate) points: Vec<usize>,
}

/// The fewest reads that fetch `points`, in the order of tables and addresses.
pub(crate) fn plan(spans: &[Span], points: &[usize], limits: Limits) -> Vec<Batch> {
    let mut points = points.to_vec();
    points.sort_by_key(|point| spans[*point]);
    let mut batches: Vec<Batch> = Vec::new();
    for point in points {
        let span = spans[point];
        match batches.last_mut() {
            Some(batch) if fits(batch.span, span, limits) => {
                let end = batch.span.end().max(span.end());
                batch.span.count = (end - u32::from(batch.span.address)) as u16;
                batch.points.push(point);
            }
            _ => batches.push(Batch { span, points: vec![point] }),
        }
    }
    batches
}

fn fits(batch: Span, next: Span, limits: Limits) -> bool {
    let (count_max, gap_max) = if batch.table.is_bits() {
        (BITS_PER_READ, limits.gap_max.saturating_mul(BITS_PER_REGISTER))
    } else {
        (limits.registers_max, limits.gap_max)
    };
    let gap = u32::from(next.address).saturating_sub(batch.end());
    let count = batch.end().max(next.end()) - u32::from(batch.address);
    batch.table == next.table && gap <= u32::from(gap_max) && count <= u32::from(count_max)
}

impl Batch {
    /// This read in two halves; `None` if all its points lie in the same place.
    pub(crate) fn split(&self, spans: &[Span]) -> Option<(Self, Self)> {
        let mut places: Vec<Span> = self.points.iter().map(|point| spans[*point]).collect();
        places.dedup();
        if places.len() < 2 {
            return None;
        }
        let first_right = places[places.len() / 2];
        let at = self.points.iter().position(|point| spans[*point] == first_right)?;
        let (left, right) = self.points.split_at(at);
        Some((Self::over(spans, left), Self::over(spans, right)))
    }

    /// The one read that spans `points`, which are sorted by place and in one table.
    fn over(spans: &[Span], points: &[usize]) -> Self {
        let first = spans[points[0]];
        let end = points.iter().map(|point| spans[*point].end()).max().unwrap_or_default();
        let count = (end - u32::from(first.address)) as u16;
        Self { span: Span { count, ..first }, points: points.to_vec() }
    }

    /// Where a point's registers are within what this read returns.
    pub(crate) fn range(&self, point: Span) -> Range<usize> {
        let start = usize::from(point.address - self.span.address);
        start..start + usize::from(point.count)
    }

    /// This read and `next` as one, if they touch and are together within the limits.
    pub(crate) fn joined(&self, next: &Self, spans: &[Span], limits: Limits) -> Option<Self> {
        let touching = Limits { gap_max: 0, ..limits };
        if !fits(self.span, next.span, touching) {
            return None;
        }
        let points: Vec<usize> = self.points.iter().chain(&next.points).copied().collect();
        Some(Self::over(spans, &points))
    }
}
