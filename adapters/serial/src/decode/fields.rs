//! The fields of one frame, by format.

use std::borrow::Cow;

use regex::{Captures, Regex};
use thiserror::Error;

use super::{
    csv,
    nmea::{self, NotNmea, Sentence},
    source::{Found, Source},
};
use crate::config::ByteOrder;

/// How frames fall into fields.
#[derive(Debug, Clone)]
pub enum Format {
    /// NMEA 0183.
    Nmea,
    /// A regular expression.
    Regex(Regex),
    /// Columns.
    Csv {
        /// Between two columns.
        separator: char,
        /// How many a line has, if known.
        columns: Option<usize>,
    },
    /// A JSON object.
    Json,
    /// Bytes.
    Binary,
    /// No fields.
    Raw,
}

/// Why a frame has no fields.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoFields {
    /// It is damaged.
    #[error("{0}")]
    Garbled(String),
    /// The checksum says that it is damaged.
    #[error(transparent)]
    Checksum(NotNmea),
    /// It is nothing that the parser looks for.
    #[error("the pattern does not match")]
    Unmatched,
}

/// The fields of one frame.
pub enum Fields<'f> {
    Nmea(Sentence<'f>),
    Groups(Captures<'f>),
    Columns(Vec<String>),
    Json(serde_json::Value),
    Bytes(&'f [u8]),
    Whole(&'f str),
}

impl Format {
    /// Whether a frame of this format that lost its start or its end cannot be taken for whole.
    pub fn proves_itself(&self) -> bool {
        matches!(self, Self::Nmea | Self::Json)
    }

    /// Splits a frame; `text` is the frame as text.
    pub(super) fn split<'f>(&self, frame: &'f [u8], text: &'f str) -> Result<Fields<'f>, NoFields> {
        match self {
            Self::Nmea => nmea::sentence(frame).map(Fields::Nmea).map_err(NoFields::from),
            Self::Regex(regex) => {
                regex.captures(text).map(Fields::Groups).ok_or(NoFields::Unmatched)
            }
            Self::Csv { separator, columns } => split_columns(text, *separator, *columns),
            Self::Json => match serde_json::from_slice(frame) {
                Ok(value @ serde_json::Value::Object(_)) => Ok(Fields::Json(value)),
                Ok(_) => Err(NoFields::Garbled("JSON, but no object".to_owned())),
                Err(error) => Err(NoFields::Garbled(format!("no JSON: {error}"))),
            },
            Self::Binary => Ok(Fields::Bytes(frame)),
            Self::Raw => Ok(Fields::Whole(text)),
        }
    }
}

fn split_columns(
    text: &str,
    separator: char,
    columns: Option<usize>,
) -> Result<Fields<'_>, NoFields> {
    let split = csv::columns(text, separator)
        .ok_or_else(|| NoFields::Garbled("a quote is not closed".to_owned()))?;
    match columns {
        Some(due) if due != split.len() => {
            Err(NoFields::Garbled(format!("{} columns instead of {due}", split.len())))
        }
        _ => Ok(Fields::Columns(split)),
    }
}

impl From<NotNmea> for NoFields {
    fn from(error: NotNmea) -> Self {
        match error {
            NotNmea::WrongChecksum { .. } => Self::Checksum(error),
            _ => Self::Garbled(error.to_string()),
        }
    }
}

impl Fields<'_> {
    /// What stands at `source`.
    pub fn find(&self, source: &Source) -> Found<'_> {
        match (self, source) {
            (Self::Nmea(read), Source::Field { sentence, number }) => {
                if read.is(sentence) {
                    text(read.field(*number))
                } else {
                    Found::Elsewhere
                }
            }
            (Self::Nmea(read), Source::Transducer { sentence, kind, id }) => {
                // A station may spread its transducers over several sentences of one name.
                let found = read.is(sentence).then(|| read.transducer(kind, id)).flatten();
                if found.is_some() { text(found) } else { Found::Elsewhere }
            }
            (Self::Groups(groups), Source::Group(name)) => {
                // A group that took no part stands in another branch of the expression.
                groups.name(name).map_or(Found::Elsewhere, |group| text(Some(group.as_str())))
            }
            (Self::Columns(columns), Source::Column(number)) => {
                text(number.checked_sub(1).and_then(|at| columns.get(at)).map(String::as_str))
            }
            (Self::Json(object), Source::Path(path)) => json(object.pointer(path)),
            (Self::Bytes(frame), Source::Bytes { at, width, order }) => {
                bytes(frame, *at, *width, *order)
            }
            (Self::Whole(whole), Source::Whole) => text(Some(whole)),
            _ => Found::Missing,
        }
    }
}

fn text(field: Option<&str>) -> Found<'_> {
    match field.map(str::trim) {
        None => Found::Missing,
        Some("") => Found::Empty,
        Some(text) => Found::Text(Cow::Borrowed(text)),
    }
}

fn json(value: Option<&serde_json::Value>) -> Found<'_> {
    match value {
        // An object that sends only what changed leaves out the rest.
        None => Found::Elsewhere,
        Some(serde_json::Value::Null) => Found::Empty,
        Some(serde_json::Value::String(value)) => text(Some(value)),
        Some(value) => Found::Json(value),
    }
}

fn bytes(frame: &[u8], at: usize, width: usize, order: ByteOrder) -> Found<'static> {
    let Some(bytes) = at.checked_add(width).and_then(|end| frame.get(at..end)) else {
        return Found::Missing;
    };
    let mut bytes = bytes.to_vec();
    if order == ByteOrder::Little {
        bytes.reverse();
    }
    Found::Bytes(bytes)
}
