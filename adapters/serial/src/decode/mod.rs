//! Fields and values: how a frame becomes points.
//!
//! A [`Decoder`] splits a frame into fields by the parser's rules, looks up each point's
//! source among them, and converts what it finds. A frame whose structure is wrong yields no
//! point at all; a field that holds no usable value yields a point that says so.

mod condition;
mod csv;
mod decoder;
mod fields;
mod nmea;
mod source;
#[cfg(test)]
mod tests;
mod value;

pub use condition::Condition;
pub use decoder::{Decoder, Placed, Reader};
pub use fields::{Format, NoFields};
pub use source::Source;
pub use value::{Conversion, number, rounded};
