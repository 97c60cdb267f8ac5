//! Where in a frame a point's value stands.

use std::borrow::Cow;

use crate::config::ByteOrder;

/// Where in a frame a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A field of an NMEA sentence.
    Field {
        /// The sentence, with or without talker.
        sentence: String,
        /// The field's number, from 1.
        number: usize,
    },
    /// A transducer of an NMEA sentence.
    Transducer {
        /// The sentence, with or without talker.
        sentence: String,
        /// The transducer's type.
        kind: String,
        /// The transducer's id.
        id: String,
    },
    /// A named group of the regular expression.
    Group(String),
    /// A column, from 1.
    Column(usize),
    /// A JSON pointer.
    Path(String),
    /// Bytes of the frame.
    Bytes {
        /// The first, from 0.
        at: usize,
        /// How many: 1 to 8.
        width: usize,
        /// In which order.
        order: ByteOrder,
    },
    /// The whole frame.
    Whole,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<'f> {
    /// This frame is not about this point.
    Elsewhere,
    /// The frame is too short for it, or has no such name.
    Missing,
    /// There is a place for a value and nothing in it.
    Empty,
    /// Text, trimmed.
    Text(Cow<'f, str>),
    /// A number or truth value of JSON.
    Json(&'f serde_json::Value),
    /// Up to 8 bytes, the most significant first.
    Bytes(Vec<u8>),
}
