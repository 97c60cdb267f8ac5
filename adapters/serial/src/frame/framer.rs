//! The state of a line between two bytes.

use super::{
    ended,
    shape::{Rules, Shape},
    sized,
};
use crate::config::Check;

/// What came of some bytes or of a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole frame, without delimiters and proof.
    Frame(Vec<u8>),
    /// What there was of a frame that has no start or no end.
    Partial(Vec<u8>),
    /// A frame whose proof is wrong.
    CheckFailed(Vec<u8>),
    /// A frame longer than is allowed; its bytes were skipped.
    TooLong,
    /// So many bytes that belong to no frame.
    Noise(usize),
}

/// Cuts a line's bytes into frames.
#[derive(Debug)]
pub struct Framer {
    pub(super) rules: Rules,
    /// The frame so far; never longer than `bytes_max` and the end's delimiter.
    pub(super) buffer: Vec<u8>,
    pub(super) place: Place,
    pub(super) noise: usize,
}

/// Where in the stream of frames the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody knows: the line was joined while it may have been talking.
    Unknown,
    /// Before a frame, or before its opening delimiter.
    Outside,
    /// Within a frame.
    Inside,
    /// Within a frame that is too long to be kept.
    Skipping,
}

impl Framer {
    /// A framer that takes the first byte for the start of a frame.
    pub fn new(shape: Shape, bytes_max: usize, check: Check) -> Self {
        let rules = Rules { shape, bytes_max, check };
        Self { rules, buffer: Vec::new(), place: Place::Outside, noise: 0 }
    }

    /// Takes the next bytes of the line.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) {
        for &byte in bytes {
            match &self.rules.shape {
                Shape::Ended(_) => ended::ended(self, byte, out),
                Shape::Delimited { .. } => ended::delimited(self, byte, out),
                Shape::Sized { .. } => sized::sized(self, byte, out),
                Shape::Gap => self.until_gap(byte, out),
            }
        }
        self.report_noise(out);
    }

    /// Says that the configured gap has passed since the last byte.
    pub fn gap_passed(&mut self, out: &mut Vec<Event>) {
        let whole = matches!(self.rules.shape, Shape::Gap) && self.place == Place::Inside;
        if whole {
            let frame = std::mem::take(&mut self.buffer);
            self.finish(frame, out);
        }
        self.give_up(out);
    }

    /// Ends the frame under way, if there is one: what comes next starts a new frame.
    pub fn give_up(&mut self, out: &mut Vec<Event>) {
        if !self.buffer.is_empty() && self.place != Place::Skipping {
            out.push(Event::Partial(std::mem::take(&mut self.buffer)));
        }
        self.buffer.clear();
        self.place = Place::Outside;
    }

    /// Ends the frame under way: what comes next may be the middle of another.
    pub fn lose_place(&mut self, out: &mut Vec<Event>) {
        self.give_up(out);
        self.place = Place::Unknown;
    }

    /// Says that the line was silent since the place was lost: the next byte starts a frame.
    pub fn found_silent(&mut self) {
        if self.place == Place::Unknown && self.buffer.is_empty() {
            self.place = Place::Outside;
        }
    }

    /// Whether the next byte may be the middle of a frame.
    pub fn is_lost(&self) -> bool {
        self.place == Place::Unknown
    }

    /// Whether a frame has begun and not ended.
    pub fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty() || matches!(self.place, Place::Inside | Place::Skipping)
    }

    fn until_gap(&mut self, byte: u8, out: &mut Vec<Event>) {
        match self.place {
            Place::Skipping => return,
            Place::Outside => self.place = Place::Inside,
            Place::Inside | Place::Unknown => {}
        }
        self.buffer.push(byte);
        if self.buffer.len() > self.rules.bytes_max {
            self.skip(out);
        }
    }

    /// Reports the frame in the buffer as too long and drops it.
    pub(super) fn skip(&mut self, out: &mut Vec<Event>) {
        out.push(Event::TooLong);
        self.buffer.clear();
        self.place = Place::Skipping;
    }

    /// Reports a frame, if its proof is right.
    pub(super) fn finish(&mut self, mut frame: Vec<u8>, out: &mut Vec<Event>) {
        self.place = Place::Outside;
        if frame.is_empty() {
            return;
        }
        self.report_noise(out);
        match self.rules.check.proven(&frame).map(<[u8]>::len) {
            Some(length) => {
                frame.truncate(length);
                out.push(Event::Frame(frame));
            }
            None => out.push(Event::CheckFailed(frame)),
        }
    }

    fn report_noise(&mut self, out: &mut Vec<Event>) {
        if self.noise > 0 {
            out.push(Event::Noise(std::mem::take(&mut self.noise)));
        }
    }
}
