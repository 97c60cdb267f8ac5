//! Frames whose length is known or told.
//!
//! What starts like a frame need not be one: `sync` may turn up within a frame. So a frame that
//! proves wrong is given up byte by byte, and the right one that begins within it is found.

use super::{
    framer::{Event, Framer, Place},
    shape::{Length, Rules, Shape},
};
use crate::config::ByteOrder;

/// What the start of a buffer is.
enum Start {
    /// Too little to tell.
    Unfinished,
    /// No frame.
    No,
    /// A frame of this many bytes, all there.
    Whole(usize),
}

/// One byte of a line whose frames have a length.
pub(super) fn sized(framer: &mut Framer, byte: u8, out: &mut Vec<Event>) {
    let Shape::Sized { sync, .. } = &framer.rules.shape else { return };
    if framer.place == Place::Unknown && sync.is_empty() {
        // Only silence can tell where a frame starts.
        framer.noise += 1;
        return;
    }
    framer.place = Place::Inside;
    framer.buffer.push(byte);
    let mut from = 0;
    loop {
        let rest = &framer.buffer[from..];
        match start_of(rest, &framer.rules) {
            Start::Unfinished => break,
            Start::No => {
                framer.noise += 1;
                from += 1;
            }
            Start::Whole(length) => {
                let frame = rest[..length].to_vec();
                if framer.rules.check.proven(&frame).is_some() {
                    from += length;
                } else {
                    from += 1;
                    framer.noise += 1;
                }
                framer.finish(frame, out);
            }
        }
    }
    framer.buffer.drain(..from);
    framer.place = if framer.buffer.is_empty() { Place::Outside } else { Place::Inside };
}

fn start_of(bytes: &[u8], rules: &Rules) -> Start {
    let Shape::Sized { sync, length } = &rules.shape else { return Start::No };
    if bytes.is_empty() {
        return Start::Unfinished;
    }
    let known = bytes.len().min(sync.len());
    if bytes[..known] != sync[..known] {
        return Start::No;
    }
    let length = match *length {
        Length::Fixed(length) => length,
        Length::Told { at, width, order, add } => {
            let Some(told) = bytes.get(at..at + width) else { return Start::Unfinished };
            let least = sync.len().max(at + width) + rules.check.width();
            match usize::try_from(number(told, order).saturating_add(add)) {
                Ok(length) if (least..=rules.bytes_max).contains(&length) => length,
                _ => return Start::No,
            }
        }
    };
    if bytes.len() < length { Start::Unfinished } else { Start::Whole(length) }
}

/// The number that up to four bytes stand for.
fn number(bytes: &[u8], order: ByteOrder) -> i64 {
    let add = |number: i64, &byte: &u8| number << 8 | i64::from(byte);
    match order {
        ByteOrder::Big => bytes.iter().fold(0, add),
        ByteOrder::Little => bytes.iter().rev().fold(0, add),
    }
}
