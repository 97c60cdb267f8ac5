//! What a frame looks like.

use crate::config::{ByteOrder, Check};

/// What marks the frames of a line.
#[derive(Debug, Clone)]
pub enum Shape {
    /// It ends with one of these; no end is empty.
    Ended(Vec<Vec<u8>>),
    /// It stands between these two; neither is empty, and they differ.
    Delimited {
        /// Before the frame.
        start: Vec<u8>,
        /// After the frame.
        end: Vec<u8>,
    },
    /// It has a length, known beforehand or told within it.
    Sized {
        /// What it starts with; may be empty.
        sync: Vec<u8>,
        /// Its length.
        length: Length,
    },
    /// It ends with silence.
    Gap,
}

/// The length of a sized frame, from its first byte to its last.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// Always the same; never 0.
    Fixed(usize),
    /// Told in the frame.
    Told {
        /// Where, in bytes from the start.
        at: usize,
        /// In how many bytes, 1 to 4.
        width: usize,
        /// In which order.
        order: ByteOrder,
        /// What to add to the number told.
        add: i64,
    },
}

/// A frame's shape with its bounds and its proof.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The shape.
    pub shape: Shape,
    /// The longest frame, without delimiters.
    pub bytes_max: usize,
    /// What stands at its end to prove it.
    pub check: Check,
}
