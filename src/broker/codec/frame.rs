//! The fixed header (section 2.2): where a packet begins and ends.

use super::{Malformed, Reason};

const LENGTH: Malformed =
    Malformed::packet("the remaining length has more than four bytes", "MQTT-2.2.3-1");
const LENGTH_PADDED: Malformed =
    Malformed::packet("the remaining length is not in its shortest form", "MQTT-1.5.5-1");
const TOO_LARGE: Malformed =
    Malformed::packet("the packet is larger than limits.packet_bytes_max", "MQTT-3.2.2-15")
        .because(Reason::PACKET_TOO_LARGE);

/// Where a packet lies in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Type and flags.
    pub first: u8,
    /// Bytes of the fixed header.
    pub header_bytes: usize,
    /// Bytes of the whole packet.
    pub total_bytes: usize,
}

/// The next packet of the buffer; `None` while it is not all there.
pub(super) fn next(buffer: &[u8], packet_bytes_max: usize) -> Result<Option<Frame>, Malformed> {
    let Some((&first, rest)) = buffer.split_first() else { return Ok(None) };
    let mut length = 0_usize;
    for (index, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(LENGTH_PADDED);
            }
            let header_bytes = index + 2;
            let total_bytes = header_bytes + length;
            if total_bytes > packet_bytes_max {
                return Err(TOO_LARGE);
            }
            let whole = buffer.len() >= total_bytes;
            return Ok(whole.then_some(Frame { first, header_bytes, total_bytes }));
        }
    }
    if rest.len() >= 4 { Err(LENGTH) } else { Ok(None) }
}
