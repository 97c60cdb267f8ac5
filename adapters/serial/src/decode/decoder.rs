//! From a frame to points.

use std::borrow::Cow;

use holdfast_adapter_api::{Point, Quality, Value};

use super::{
    condition::Condition,
    fields::{Fields, Format, NoFields},
    source::{Found, Source},
    value::Conversion,
};
use crate::config::PointType;

/// One point, as far as reading it goes.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    /// Where it stands; a point that is only written has none.
    pub source: Option<Source>,
    /// How its value is made.
    pub conversion: Conversion,
    /// When it counts.
    pub condition: Option<Condition>,
}

/// Makes points from frames.
#[derive(Debug)]
pub struct Decoder {
    /// How frames fall into fields.
    pub format: Format,
    /// The points, in configured order.
    pub readers: Vec<Reader>,
}

/// A point with its place in the configured order.
pub type Placed = (usize, Point);

impl Decoder {
    /// The points that a frame is about, at least one.
    pub fn decode(&self, frame: &[u8]) -> Result<Vec<Placed>, NoFields> {
        let text = match self.format {
            Format::Raw => printable(frame),
            _ => text(frame),
        };
        let fields = self.format.split(frame, &text)?;
        let mut points = Vec::with_capacity(self.readers.len());
        for (place, reader) in self.readers.iter().enumerate() {
            let Some(source) = &reader.source else { continue };
            let (value, quality) = match fields.find(source) {
                Found::Elsewhere => continue,
                Found::Missing if self.format.proves_itself() => (None, Quality::Config),
                Found::Missing => {
                    let problem = format!("too short for the point '{}'", reader.name);
                    return Err(NoFields::Garbled(problem));
                }
                found => match reader.value(source, &found, &fields) {
                    Some(value) => (Some(value), Quality::Good),
                    None => (None, Quality::InvalidValue),
                },
            };
            points.push((place, reader.point(value, quality)));
        }
        if points.is_empty() { Err(NoFields::Unmatched) } else { Ok(points) }
    }

    /// All points that are read, without a value, for the reason that `quality` gives.
    pub fn without_values(&self, quality: Quality) -> Vec<Placed> {
        let read = self.readers.iter().enumerate().filter(|(_, reader)| reader.source.is_some());
        read.map(|(place, reader)| (place, reader.point(None, quality))).collect()
    }
}

impl Reader {
    fn value(&self, source: &Source, found: &Found<'_>, fields: &Fields<'_>) -> Option<Value> {
        if self.condition.as_ref().is_some_and(|condition| !condition.holds(fields)) {
            return None;
        }
        let next = match (self.conversion.kind, source) {
            (PointType::Latitude | PointType::Longitude, Source::Field { sentence, number }) => {
                Some(Source::Field { sentence: sentence.clone(), number: number + 1 })
            }
            _ => None,
        };
        let next = next.as_ref().map_or(Found::Missing, |next| fields.find(next));
        self.conversion.value(found, &next)
    }

    fn point(&self, value: Option<Value>, quality: Quality) -> Point {
        Point { name: self.name.clone(), value, unit: self.unit.clone(), quality }
    }
}

/// The frame as text. Where it is no UTF-8 each byte is a character of Latin-1, as instruments
/// that send a degree sign mean it.
fn text(frame: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(frame) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(frame.iter().copied().map(char::from).collect()),
    }
}

/// The frame as text if it is printable, else in hexadecimal digits.
fn printable(frame: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(frame) {
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
            Cow::Borrowed(text)
        }
        _ => Cow::Owned(hexadecimal(frame)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
