//! Turns what a poll found into a reading.

use holdfast_adapter_api::{Point, Quality, Reading, Timestamp, Value};

use super::{
    device::Device,
    poll::{Found, Poll},
};
use crate::{
    map::{DeviceMap, PointMap},
    value::Linear,
};

/// Powers of ten beyond this are no scale (SunSpec allows −10 to 10).
const EXPONENT_MAX: i64 = 10;

/// The reading of a finished poll.
pub(super) fn reading(device: &mut Device, poll: &Poll) -> Reading {
    let points = device.map.points.iter().zip(&poll.found);
    let points = points.map(|(point, found)| {
        let (value, quality) = judge(&device.map, &poll.found, point, found);
        Point { name: point.name.clone(), value, unit: point.unit.clone(), quality }
    });
    let points = points.collect();
    next(device, poll.at, points)
}

/// The reading of a device that could not be asked.
pub(super) fn offline(device: &mut Device, at: Timestamp) -> Reading {
    let points = device.map.points.iter().map(|point| Point {
        name: point.name.clone(),
        value: None,
        unit: point.unit.clone(),
        quality: Quality::Offline,
    });
    let points = points.collect();
    next(device, at, points)
}

fn next(device: &mut Device, at: Timestamp, points: Vec<Point>) -> Reading {
    let sequence = device.sequence;
    device.sequence += 1;
    let (name, topic) = (device.map.name.clone(), device.map.topic.clone());
    Reading { device: name, topic, at, sequence, points }
}

fn judge(
    map: &DeviceMap,
    all: &[Found],
    point: &PointMap,
    found: &Found,
) -> (Option<Value>, Quality) {
    let words = match found {
        Found::Bit(bit) => return (Some(Value::Bool(*bit)), Quality::Good),
        Found::Nothing(quality) => return (None, *quality),
        Found::Words(words) => words,
    };
    let scale = match point.scale_point.map(|index| (index, &all[index])) {
        None => None,
        Some((_, Found::Nothing(quality))) => return (None, *quality),
        Some((index, Found::Words(words))) => match exponent(&map.points[index], words) {
            Some(exponent) => Some(Linear::power_of_ten(exponent)),
            None => return (None, Quality::InvalidValue),
        },
        Some((_, Found::Bit(_))) => return (None, Quality::Config),
    };
    match point.codec.decode(words, scale) {
        Ok(value) => (Some(value), Quality::Good),
        Err(undecodable) => (undecodable.raw, Quality::InvalidValue),
    }
}

fn exponent(point: &PointMap, words: &[u16]) -> Option<i16> {
    match point.codec.decode(words, None) {
        Ok(Value::Int(exponent)) if exponent.abs() <= EXPONENT_MAX => Some(exponent as i16),
        _ => None,
    }
}
