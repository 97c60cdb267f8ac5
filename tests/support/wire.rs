//! The few MQTT 3.1.1 packets that the load generator and the recorder need, as bytes.

use std::{io, time::Duration};

/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xE0, 0x00];
/// What the payload of a numbered message begins with; ten digits follow.
const NUMBER_PREFIX: &[u8] = b"n=";
const NUMBER_DIGITS: usize = 10;
/// The shortest payload that holds a number.
pub const PAYLOAD_BYTES_MIN: usize = NUMBER_PREFIX.len() + NUMBER_DIGITS;

/// CONNECT with a clean session.
pub fn connect(client_id: &str, keep_alive: Duration) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04\x02".to_vec();
    body.extend((keep_alive.as_secs() as u16).to_be_bytes());
    push_string(&mut body, client_id);
    packet(0x10, &body)
}

/// SUBSCRIBE to one filter at QoS 1.
pub fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    push_string(&mut body, filter);
    body.push(1);
    packet(0x82, &body)
}

/// PUBACK.
pub fn puback(packet_id: [u8; 2]) -> [u8; 4] {
    [0x40, 2, packet_id[0], packet_id[1]]
}

/// PUBLISH at QoS 1.
pub fn publish(topic: &str, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + topic.len() + payload.len());
    push_string(&mut body, topic);
    body.extend(packet_id.to_be_bytes());
    body.extend(payload);
    packet(0x32, &body)
}

/// An error unless these four bytes are a CONNACK that says yes.
pub fn expect_accepted(connack: [u8; 4]) -> io::Result<()> {
    if connack[0] == 0x20 && connack[3] == 0 {
        Ok(())
    } else {
        Err(io::Error::other(format!("refused: {connack:?}")))
    }
}

/// Calls `each` with the packet id of every whole PUBACK; how many bytes were used.
pub fn acknowledgements(
    input: &[u8],
    mut each: impl FnMut(u16) -> io::Result<()>,
) -> io::Result<usize> {
    let whole = input.len() - input.len() % 4;
    for ack in input[..whole].chunks_exact(4) {
        if ack[..2] != [0x40, 2] {
            return Err(io::Error::other(format!("expected a PUBACK, got {ack:?}")));
        }
        each(u16::from_be_bytes([ack[2], ack[3]]))?;
    }
    Ok(whole)
}

/// A packet that came, borrowed from the input.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The first byte: type and flags.
    pub head: u8,
    /// What follows the length.
    pub body: &'a [u8],
    /// The bytes of the whole packet.
    pub bytes: usize,
}

/// The first packet of the input, if it is whole.
pub fn first_packet(input: &[u8]) -> Option<Packet<'_>> {
    let (&head, rest) = input.split_first()?;
    let mut length = 0;
    for (index, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let body = rest.get(index + 1..index + 1 + length)?;
            return Some(Packet { head, body, bytes: index + 2 + length });
        }
    }
    None
}

/// The packet id under which a device sends this number.
pub fn packet_id(number: u64) -> u16 {
    (number % u64::from(u16::MAX)) as u16 + 1
}

/// The number that a payload carries, if it is a numbered one.
pub fn number_of(payload: &[u8]) -> Option<u64> {
    let digits = payload.strip_prefix(NUMBER_PREFIX)?.get(..NUMBER_DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A device's PUBLISH, prepared once and patched for every message.
#[derive(Debug)]
pub struct Template {
    plain: Vec<u8>,
    marked: Option<(u64, Vec<u8>)>,
    payload_bytes: usize,
}

impl Template {
    /// Messages on `topic`, but every n-th (from the first on) on another where `marks` says so.
    pub fn new(topic: &str, marks: Option<(u64, String)>, payload_bytes: usize) -> Self {
        assert!(payload_bytes >= PAYLOAD_BYTES_MIN, "the number needs room in the payload");
        let mut payload = vec![b'.'; payload_bytes];
        payload[..NUMBER_PREFIX.len()].copy_from_slice(NUMBER_PREFIX);
        Self {
            plain: publish(topic, 0, &payload),
            marked: marks.map(|(every, topic)| (every, publish(&topic, 0, &payload))),
            payload_bytes,
        }
    }

    /// Appends the message with this number.
    pub fn publish(&self, number: u64, out: &mut Vec<u8>) {
        let packet = match &self.marked {
            Some((every, packet)) if number.is_multiple_of(*every) => packet,
            _ => &self.plain,
        };
        let start = out.len();
        out.extend_from_slice(packet);
        let payload = out.len() - self.payload_bytes;
        debug_assert!(payload > start);
        out[payload - 2..payload].copy_from_slice(&packet_id(number).to_be_bytes());
        let mut rest = number;
        let digits = payload + NUMBER_PREFIX.len();
        for place in out[digits..digits + NUMBER_DIGITS].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![head];
    let mut length = body.len();
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        packet.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}
