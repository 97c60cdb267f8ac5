//! RTU frames, found in whatever a serial line delivers.

use super::{
    Answer, Discarded, Query, Step,
    crc::{crc, is_intact},
    pdu::{EXCEPTION, any_answer_bytes},
};

/// The most bytes kept while looking for an answer: the longest frame twice, so that noise
/// before it does no harm.
const BUFFER_BYTES_MAX: usize = 512;

/// Unit and checksum around a PDU.
pub(crate) const RTU_OVERHEAD_BYTES: usize = 3;

/// A request as it goes on a serial line.
pub(crate) fn rtu_frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(pdu.len() + RTU_OVERHEAD_BYTES);
    frame.push(unit);
    frame.extend_from_slice(pdu);
    frame.extend_from_slice(&crc(&frame).to_le_bytes());
    frame
}

/// Looks for the answer to one request. A new one is made for each.
#[derive(Debug)]
pub(crate) struct RtuReceiver {
    unit: u8,
    sent: Vec<u8>,
    /// Whether the echo of our request is still to come, before which nothing counts.
    echo_due: bool,
    buffer: Vec<u8>,
    discarded: Discarded,
    damaged: bool,
}

impl RtuReceiver {
    /// `sent` is the request's frame; `echo` says that the line returns it.
    pub(crate) fn new(unit: u8, sent: &[u8], echo: bool) -> Self {
        Self {
            unit,
            sent: sent.to_vec(),
            echo_due: echo,
            buffer: Vec::new(),
            discarded: Discarded::default(),
            damaged: false,
        }
    }

    /// Takes what arrived, and looks.
    pub(crate) fn receive(&mut self, bytes: &[u8], query: &Query) -> Step {
        self.buffer.extend_from_slice(bytes);
        self.strip_echo(query);
        let step = if self.echo_due { Step::More } else { self.scan(query) };
        if let Some(excess) = self.buffer.len().checked_sub(BUFFER_BYTES_MAX) {
            self.drop_noise(excess);
        }
        step
    }

    /// Whether something arrived that could have been the answer, but damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged || !self.buffer.is_empty()
    }

    /// Whether a frame of full length arrived with a wrong checksum: waiting on is pointless
    /// once the line is quiet.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.damaged
    }

    /// What was thrown away, with what is left over.
    pub(crate) fn discarded(&self) -> Discarded {
        let rest = self.buffer.len() as u32;
        Discarded { bytes: self.discarded.bytes + rest, ..self.discarded }
    }

    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Removes our own request from what was received. Where no echo is expected it is removed
    /// as well, unless it is what the answer must look like.
    fn strip_echo(&mut self, query: &Query) {
        let expected = self.echo_due || !query.is_answered_by_itself();
        if !expected || self.buffer.len() < self.sent.len() || self.discarded.echoes > 0 {
            return;
        }
        let length = self.sent.len();
        let found = self.buffer.windows(length).position(|window| window == self.sent);
        if let Some(start) = found {
            self.drop_noise(start);
            self.buffer.drain(..length);
            self.discarded.echoes += 1;
            self.echo_due = false;
        }
    }

    /// Looks for a frame from each byte on, since noise may look like the beginning of one.
    fn scan(&mut self, query: &Query) -> Step {
        let mut start = 0;
        // Set once our answer may have begun: what then looks like a foreign frame is its data.
        let mut begun = false;
        while start < self.buffer.len() {
            let rest = &self.buffer[start..];
            let frame = whole_frame(rest);
            let answer = frame.and_then(|frame| self.answer(frame, query));
            match frame.map(<[u8]>::len) {
                Some(length)
                    if answer.is_some() || !(begun || self.overlaps(rest, length, query)) =>
                {
                    self.drop_noise(start);
                    self.buffer.drain(..length);
                    if let Some(answer) = answer {
                        return Step::Answer(answer);
                    }
                    self.discarded.mismatches += 1;
                    start = 0;
                }
                _ => {
                    self.damaged |= self.is_whole_but_damaged(rest, query);
                    begun |= self.may_begin_the_answer(rest, query);
                    start += 1;
                }
            }
        }
        Step::More
    }

    fn answer(&self, frame: &[u8], query: &Query) -> Option<Answer> {
        if frame[0] == self.unit { query.answer(&frame[1..frame.len() - 2]) } else { None }
    }

    /// Whether within the first `length` bytes our answer begins: then it is noise and the
    /// answer's head that look like a frame by chance.
    fn overlaps(&self, bytes: &[u8], length: usize, query: &Query) -> bool {
        (1..length).any(|at| {
            let rest = &bytes[at..];
            self.may_begin_the_answer(rest, query)
                || whole_frame(rest).is_some_and(|frame| self.answer(frame, query).is_some())
        })
    }

    fn may_begin_the_answer(&self, bytes: &[u8], query: &Query) -> bool {
        let head = 1 + query.shape().len();
        let begins = bytes
            .iter()
            .take(head)
            .eq(std::iter::once(&self.unit).chain(query.shape()).take(bytes.len().min(head)));
        begins && bytes.len() < query.answer_bytes() + RTU_OVERHEAD_BYTES
    }

    fn is_whole_but_damaged(&self, bytes: &[u8], query: &Query) -> bool {
        let prefix = query.shape();
        let whole = bytes.len() >= query.answer_bytes() + RTU_OVERHEAD_BYTES;
        let exception = bytes.len() >= 2 + RTU_OVERHEAD_BYTES && bytes[1] == prefix[0] | EXCEPTION;
        bytes[0] == self.unit && (exception || (whole && bytes[1..].starts_with(prefix)))
    }

    fn drop_noise(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.discarded.bytes += bytes as u32;
    }
}

/// The undamaged answer of any unit that `bytes` begin with.
fn whole_frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = any_answer_bytes(bytes.get(1..)?)? + RTU_OVERHEAD_BYTES;
    bytes.get(..length).filter(|frame| is_intact(frame))
}
