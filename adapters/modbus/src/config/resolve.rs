//! Turns a point's configuration into the span and codec the bus runs on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Device, Number, Point, problem::Problems};
use crate::{
    map::PointMap,
    plan::{Span, Table},
    value::{Codec, Kind, Linear},
};

/// The most bytes a string can have: one read's worth.
const STRING_BYTES_MAX: u16 = 250;

/// The most registers one write may carry (Modbus Application Protocol 1.1b3, 6.12).
const REGISTERS_PER_WRITE: u16 = 123;

/// Addresses run to 65535.
const ADDRESSES: u32 = 65_536;

/// The points of a device; `None` for each that has a problem.
pub(super) fn compile_all(
    device: &Device,
    key: &str,
    registers_max: u16,
    problems: &mut Problems,
) -> Vec<Option<PointMap>> {
    let mut names = BTreeSet::new();
    let mut points = Vec::new();
    for (index, point) in device.point.iter().enumerate() {
        let mut report = Report { key: format!("{key}.point[{index}]"), problems };
        if point.name.is_empty() {
            report.add("name", "it is empty", "give the point a name");
        } else if !names.insert(point.name.as_str()) {
            let message = format!("the name {:?} is used twice", point.name);
            report.add("name", message, "give each point of a device its own name");
        }
        points.push(compile(device, point, registers_max, &mut report));
    }
    points
}

struct Report<'a> {
    key: String,
    problems: &'a mut Problems,
}

impl Report<'_> {
    fn add(&mut self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.add(format!("{}.{key}", self.key), message, remedy);
    }
}

fn compile(
    device: &Device,
    point: &Point,
    registers_max: u16,
    report: &mut Report<'_>,
) -> Option<PointMap> {
    let before = report.problems.0.len();
    let bits = point.table.is_bits();
    let kind = point.kind.unwrap_or(if bits { Kind::Bit } else { Kind::UInt16 });
    if bits && kind != Kind::Bit {
        report.add("type", "a coil or discrete input is one bit", "use \"bit\" or leave it out");
    }
    let (bit, width, bytes) = check_extent(point, kind, report);
    check_scaling(point, kind, report);
    check_names(point, kind, report);
    check_writing(point, report);
    let scale_point = check_scale_point(device, point, kind, report);
    let count = if bits { 1 } else { kind.registers(bytes) };
    if !bits && count > registers_max {
        let message = format!("it takes {count} registers and a read fetches {registers_max}");
        report.add("type", message, "raise max_registers or shorten the point");
    }
    if point.writable && count > REGISTERS_PER_WRITE {
        let message = format!("{count} registers cannot be written at once");
        report.add("length", message, format!("use at most {REGISTERS_PER_WRITE} registers"));
    }
    let address = check_address(device, point, count, report);
    let codec = Codec {
        kind,
        order: point.byte_order.unwrap_or(device.byte_order),
        bit,
        width,
        bytes,
        linear: linear(point),
        invalid: point.invalid.clone(),
        names: names(&point.values),
        min: point.min,
        max: point.max,
    };
    (report.problems.0.len() == before).then(|| PointMap {
        name: point.name.clone(),
        unit: point.unit.clone(),
        span: Span { table: point.table, address, count: count.max(1) },
        codec,
        writable: point.writable,
        scale_point,
    })
}

fn check_address(device: &Device, point: &Point, count: u16, report: &mut Report<'_>) -> u16 {
    let Some(address) = point.address.checked_sub(u32::from(device.address_base)) else {
        let message = "address 0 does not exist where counting begins at 1";
        report.add("address", message, "use the manual's number, or set address_base = 0");
        return 0;
    };
    if address + u32::from(count.max(1)) > ADDRESSES {
        let message = format!("{} and what follows is beyond the last register", point.address);
        report.add("address", message, "use an address up to 65535");
    }
    address as u16
}

/// The lowest bit, the number of bits, and the number of bytes of a point.
fn check_extent(point: &Point, kind: Kind, report: &mut Report<'_>) -> (u8, u8, u16) {
    let bit = point.bit.unwrap_or(0);
    let in_register = !point.table.is_bits() && matches!(kind, Kind::Bit | Kind::Bitfield);
    match point.bit {
        Some(_) if !in_register => {
            let message = "only a bit or bitfield in a register has one";
            report.add("bit", message, "leave it out, or set type = \"bit\"");
        }
        None if in_register && kind == Kind::Bit => {
            report.add("bit", "it is missing", "give the bit's number in the register, 0 to 15");
        }
        Some(16..) => report.add("bit", format!("a register has no bit {bit}"), "use 0 to 15"),
        _ => {}
    }
    let room = 16 - bit.min(15);
    match (kind, point.length) {
        (Kind::Bitfield, length) => {
            let width = length.unwrap_or(u16::from(room));
            if width == 0 || width > u16::from(room) {
                let message = format!("{width} bits from bit {bit} on leave the register");
                report.add("length", message, format!("use 1 to {room} bits"));
            }
            (bit.min(15), width.clamp(1, u16::from(room)) as u8, 0)
        }
        (Kind::String, Some(bytes @ 1..=STRING_BYTES_MAX)) => (0, 16, bytes),
        (Kind::String, _) => {
            let remedy = format!("give the text's bytes, 1 to {STRING_BYTES_MAX}");
            report.add("length", "a string needs its length", remedy);
            (0, 16, 1)
        }
        (_, Some(_)) => {
            report.add("length", "only a string or bitfield has one", "leave it out");
            (bit.min(15), 16, 0)
        }
        (_, None) => (bit.min(15), 16, 0),
    }
}

fn check_scaling(point: &Point, kind: Kind, report: &mut Report<'_>) {
    let unscaled = matches!(kind, Kind::Bit | Kind::String);
    for (key, number) in [("scale", point.scale), ("offset", point.offset)] {
        let Some(number) = number else { continue };
        if unscaled || !point.values.is_empty() {
            let message = "a bit, a text or a named value has none";
            report.add(key, message, "leave it out");
        } else if !number.is_finite() || (key == "scale" && number == 0.0) {
            report.add(key, format!("{number} gives no value"), "use a number other than 0");
        }
    }
    if unscaled && !point.invalid.is_empty() {
        report.add("invalid", "a bit or a text has no such number", "leave it out");
    }
    if point.invalid.iter().any(|n| matches!(n, Number::Float(f) if !f.is_finite())) {
        let message = "it holds something that is no number";
        report.add("invalid", message, "leave NaN and infinity out: they are never good values");
    }
}

fn check_names(point: &Point, kind: Kind, report: &mut Report<'_>) {
    if point.values.is_empty() {
        return;
    }
    if !kind.is_integer() {
        let message = "only whole numbers have named values";
        report.add("values", message, "leave it out, or use a whole-number type");
    }
    let range = kind.range(16).unwrap_or((i128::MIN, i128::MAX));
    for raw in point.values.keys() {
        match raw.parse::<i128>() {
            Ok(number) if (range.0..=range.1).contains(&number) => {}
            _ => report.add(
                &format!("values.{raw}"),
                format!("{raw:?} is no number of its type"),
                "use the raw numbers from the device's manual as keys",
            ),
        }
    }
    let distinct: BTreeSet<_> = point.values.values().collect();
    if distinct.len() < point.values.len() && point.writable {
        let message = "a name stands for two numbers, and a command could mean either";
        report.add("values", message, "give each number its own name");
    }
}

fn check_writing(point: &Point, report: &mut Report<'_>) {
    if point.writable && matches!(point.table, Table::Input | Table::Discrete) {
        let message = "an input register or discrete input cannot be written";
        report.add("writable", message, "use table = \"holding\" or \"coil\"");
    }
    for (key, bound) in [("min", point.min), ("max", point.max)] {
        if bound.is_some_and(|bound| !bound.is_finite()) {
            report.add(key, "it is no number", "use a number or leave it out");
        }
    }
    if let (Some(min), Some(max)) = (point.min, point.max)
        && min > max
    {
        report.add("min", format!("{min} is above max = {max}"), "swap them");
    }
}

fn check_scale_point(
    device: &Device,
    point: &Point,
    kind: Kind,
    report: &mut Report<'_>,
) -> Option<usize> {
    let wanted = point.scale_point.as_ref()?;
    if point.scale.is_some() || point.offset.is_some() || !kind.is_integer() {
        let message = "it needs a whole number without scale and offset";
        report.add("scale_point", message, "leave one of them out");
    }
    if point.writable {
        let message = "a point that another one scales cannot be written";
        report.add("scale_point", message, "use a fixed scale, or writable = false");
    }
    let found = device.point.iter().position(|other| other.name == *wanted);
    let holds_power = |other: &Point| {
        other.kind == Some(Kind::Int16)
            && other.scale.is_none()
            && other.offset.is_none()
            && other.scale_point.is_none()
            && other.values.is_empty()
    };
    match found {
        Some(index) if holds_power(&device.point[index]) => Some(index),
        Some(_) => {
            let message = format!("{wanted:?} is no plain int16");
            report.add("scale_point", message, "name an int16 point without scale");
            None
        }
        None => {
            let message = format!("this device has no point {wanted:?}");
            report.add("scale_point", message, "add that point, of type int16");
            None
        }
    }
}

fn linear(point: &Point) -> Option<Linear> {
    if point.scale.is_none() && point.offset.is_none() {
        return None;
    }
    Some(Linear::new(point.scale.unwrap_or(1.0), point.offset.unwrap_or(0.0)))
}

fn names(values: &BTreeMap<String, String>) -> BTreeMap<i128, String> {
    values.iter().filter_map(|(raw, name)| Some((raw.parse().ok()?, name.clone()))).collect()
}
