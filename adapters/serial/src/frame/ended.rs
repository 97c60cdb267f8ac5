//! Frames that end with given bytes, with or without given bytes at their start.

use super::{
    framer::{Event, Framer, Place},
    shape::Shape,
};

/// One byte of a line whose frames only have an end.
pub(super) fn ended(framer: &mut Framer, byte: u8, out: &mut Vec<Event>) {
    let Shape::Ended(ends) = &framer.rules.shape else { return };
    framer.buffer.push(byte);
    let end = ends.iter().filter(|end| framer.buffer.ends_with(end)).map(Vec::len).max();
    let end_max = ends.iter().map(Vec::len).max().unwrap_or(0);
    if let Some(end) = end {
        let mut frame = std::mem::take(&mut framer.buffer);
        frame.truncate(frame.len() - end);
        match framer.place {
            Place::Skipping => framer.place = Place::Outside,
            Place::Unknown => {
                framer.place = Place::Outside;
                if !frame.is_empty() {
                    out.push(Event::Partial(frame));
                }
            }
            Place::Outside | Place::Inside => framer.finish(frame, out),
        }
    } else if framer.place == Place::Skipping {
        // Enough to recognise an end of several bytes.
        keep_tail(&mut framer.buffer, end_max - 1);
    } else if framer.buffer.len() >= framer.rules.bytes_max + end_max {
        let mut tail = framer.buffer.clone();
        keep_tail(&mut tail, end_max - 1);
        framer.skip(out);
        framer.buffer = tail;
    }
}

/// One byte of a line whose frames have a start and an end.
pub(super) fn delimited(framer: &mut Framer, byte: u8, out: &mut Vec<Event>) {
    let Shape::Delimited { start, end } = &framer.rules.shape else { return };
    framer.buffer.push(byte);
    if framer.place != Place::Inside {
        // The buffer is what there is of a start.
        while !start.starts_with(&framer.buffer) {
            framer.buffer.remove(0);
            framer.noise += 1;
        }
        if framer.buffer.len() == start.len() {
            framer.buffer.clear();
            framer.place = Place::Inside;
        }
    } else if framer.buffer.ends_with(end) {
        let mut frame = std::mem::take(&mut framer.buffer);
        frame.truncate(frame.len() - end.len());
        framer.finish(frame, out);
    } else if framer.buffer.ends_with(start) {
        // The end was lost; to go on would join two frames.
        let mut partial = std::mem::take(&mut framer.buffer);
        partial.truncate(partial.len() - start.len());
        out.push(Event::Partial(partial));
    } else if framer.buffer.len() >= framer.rules.bytes_max + end.len() {
        framer.skip(out);
        framer.place = Place::Outside;
    }
}

fn keep_tail(buffer: &mut Vec<u8>, length: usize) {
    let excess = buffer.len().saturating_sub(length);
    buffer.drain(..excess);
}
