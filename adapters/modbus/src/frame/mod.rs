//! Modbus on the wire: PDUs, RTU frames, TCP frames. No I/O.
//!
//! tokio-modbus names the requests and answers; the frames are our own, because only who sees
//! the bytes can tell a late, foreign, echoed or damaged frame from the answer (see
//! `docs/decisions`).
//!
//! ```text
//! RTU   unit u8 · PDU 1..=253 · CRC-16/MODBUS u16 little-endian
//! TCP   transaction u16 · protocol u16 = 0 · length u16 = 1 + PDU · unit u8 · PDU   (big-endian)
//! PDU   function u8 · data            exception: function | 0x80 · code u8
//! ```

mod crc;
mod pdu;
mod rtu;
mod tcp;
#[cfg(test)]
mod tests;

pub(crate) use pdu::{Answer, InvalidRequest, Query};
pub(crate) use rtu::{RTU_OVERHEAD_BYTES, RtuReceiver, rtu_frame};
pub(crate) use tcp::{TcpReceiver, tcp_frame};

/// What a receiver found in the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet; more bytes are needed.
    More,
    /// The answer.
    Answer(Answer),
    /// The stream is beyond repair; only a new connection helps.
    Broken,
}

/// What a receiver threw away on its way to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Discarded {
    /// Whole, undamaged frames that were not the answer.
    pub(crate) mismatches: u32,
    /// Bytes that belong to no frame.
    pub(crate) bytes: u32,
    /// Copies of our own request.
    pub(crate) echoes: u32,
}
