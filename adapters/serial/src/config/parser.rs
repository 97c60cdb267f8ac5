//! `parser`

use serde::Deserialize;

/// How a frame falls into fields: `parser`.
#[derive(Debug, Clone, Deserialize)]
pub struct Parser {
    /// The format.
    pub kind: ParserKind,
    /// `regex`: the expression, with a named group per value: `T:(?<t>[-0-9.]+)`.
    pub pattern: Option<String>,
    /// `csv`: what separates the columns, one character; a blank stands for any run of blanks.
    pub separator: Option<String>,
    /// `csv`: how many columns a whole line has; a line with more or fewer is garbled.
    pub columns: Option<usize>,
}

/// The format of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParserKind {
    /// NMEA 0183, with its checksum, which must be there and right.
    Nmea,
    /// Text in which a regular expression finds the values.
    Regex,
    /// Text in columns.
    Csv,
    /// A JSON object.
    Json,
    /// Numbers at fixed places.
    Binary,
    /// The frame as a whole is the one value: text, or hexadecimal digits where it is none.
    Raw,
}
