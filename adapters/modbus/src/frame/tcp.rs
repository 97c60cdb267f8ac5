//! TCP frames (Modbus Messaging on TCP/IP 1.0b, 3.1.3).

use super::{Discarded, Query, Step};

/// Transaction, protocol and length.
const PREFIX_BYTES: usize = 6;

/// A unit and the longest PDU.
const LENGTH_MAX: usize = 254;

/// A request as it goes over TCP.
pub(crate) fn tcp_frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX_BYTES + 1 + pdu.len());
    frame.extend_from_slice(&transaction.to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(&(1 + pdu.len() as u16).to_be_bytes());
    frame.push(unit);
    frame.extend_from_slice(pdu);
    frame
}

/// Looks for answers on one connection.
#[derive(Debug, Default)]
pub(crate) struct TcpReceiver {
    buffer: Vec<u8>,
    discarded: Discarded,
}

impl TcpReceiver {
    /// Takes what arrived, and looks for the answer to `transaction`.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        transaction: u16,
        unit: u8,
        query: &Query,
    ) -> Step {
        self.buffer.extend_from_slice(bytes);
        loop {
            let Some((header, rest)) = self.buffer.split_at_checked(PREFIX_BYTES) else {
                return Step::More;
            };
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if header[2..4] != [0, 0] || !(2..=LENGTH_MAX).contains(&length) {
                return Step::Broken;
            }
            let Some(body) = rest.get(..length) else { return Step::More };
            let ours = header[..2] == transaction.to_be_bytes() && body[0] == unit;
            let answer = if ours { query.answer(&body[1..]) } else { None };
            self.buffer.drain(..PREFIX_BYTES + length);
            if let Some(answer) = answer {
                return Step::Answer(answer);
            }
            self.discarded.mismatches += 1;
        }
    }

    /// What was thrown away since this was last asked.
    pub(crate) fn take_discarded(&mut self) -> Discarded {
        std::mem::take(&mut self.discarded)
    }
}
