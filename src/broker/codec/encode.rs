//! From packets to bytes: what a server sends.

use bytes::{BufMut, BytesMut};

use super::{
    Reason, Version,
    properties::{self, id, varint_bytes, write_binary, write_varint},
};
use crate::broker::{Message, QoS};

/// What a CONNACK says.
#[derive(Debug, Default)]
pub(in crate::broker) struct ConnAck<'a> {
    pub session_present: bool,
    pub session_expiry: Option<u32>,
    pub receive_max: u16,
    pub packet_bytes_max: u32,
    pub topic_alias_max: u16,
    pub server_keep_alive: Option<u16>,
    pub assigned_client_id: Option<&'a str>,
}

/// CONNACK; `reason` other than success needs no `accepted`.
pub(in crate::broker) fn connack(
    version: Version,
    reason: Reason,
    accepted: &ConnAck<'_>,
    out: &mut BytesMut,
) {
    let present = u8::from(accepted.session_present && !reason.is_error());
    if version == Version::V311 {
        out.extend_from_slice(&[0x20, 2, present, reason.as_v311_connack()]);
        return;
    }
    let mut list = BytesMut::new();
    if !reason.is_error() {
        if let Some(seconds) = accepted.session_expiry {
            list.put_u8(id::SESSION_EXPIRY_INTERVAL);
            list.put_u32(seconds);
        }
        list.put_u8(id::RECEIVE_MAXIMUM);
        list.put_u16(accepted.receive_max);
        list.put_u8(id::MAXIMUM_PACKET_SIZE);
        list.put_u32(accepted.packet_bytes_max);
        list.put_u8(id::TOPIC_ALIAS_MAXIMUM);
        list.put_u16(accepted.topic_alias_max);
        if let Some(seconds) = accepted.server_keep_alive {
            list.put_u8(id::SERVER_KEEP_ALIVE);
            list.put_u16(seconds);
        }
        if let Some(client_id) = accepted.assigned_client_id {
            list.put_u8(id::ASSIGNED_CLIENT_IDENTIFIER);
            write_binary(client_id.as_bytes(), &mut list);
        }
    }
    out.put_u8(0x20);
    write_varint(2 + varint_bytes(list.len()) + list.len(), out);
    out.put_u8(present);
    out.put_u8(reason.0);
    write_varint(list.len(), out);
    out.extend_from_slice(&list);
}

/// A PUBLISH to be written.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct PublishFrame<'a> {
    pub message: &'a Message,
    pub qos: QoS,
    pub retain: bool,
    pub dup: bool,
    /// Ignored at QoS 0.
    pub id: u16,
    /// MQTT 5: what is left of the message's life, in seconds.
    pub expiry: Option<u32>,
    /// MQTT 5: the identifiers of the subscriptions that it matched.
    pub identifiers: &'a [u32],
}

impl PublishFrame<'_> {
    fn property_bytes(&self) -> usize {
        self.expiry.map_or(0, |_| 5)
            + self.identifiers.iter().map(|id| 1 + varint_bytes(*id as usize)).sum::<usize>()
            + self.message.properties.as_deref().map_or(0, properties::message_bytes)
    }

    fn remaining_bytes(&self, version: Version, property_bytes: usize) -> usize {
        let id = if self.qos == QoS::AtMostOnce { 0 } else { 2 };
        let properties = match version {
            Version::V311 => 0,
            Version::V5 => varint_bytes(property_bytes) + property_bytes,
        };
        2 + self.message.topic.len() + id + properties + self.message.payload.len()
    }
}

/// PUBLISH; `false`, and nothing written, where it would be larger than `bytes_max`.
pub(in crate::broker) fn publish(
    version: Version,
    frame: PublishFrame<'_>,
    bytes_max: usize,
    out: &mut BytesMut,
) -> bool {
    let property_bytes = if version == Version::V5 { frame.property_bytes() } else { 0 };
    let remaining = frame.remaining_bytes(version, property_bytes);
    if 1 + varint_bytes(remaining) + remaining > bytes_max {
        return false;
    }
    out.reserve(5 + remaining);
    out.put_u8(0x30 | u8::from(frame.dup) << 3 | (frame.qos as u8) << 1 | u8::from(frame.retain));
    write_varint(remaining, out);
    write_binary(frame.message.topic.as_bytes(), out);
    if frame.qos != QoS::AtMostOnce {
        out.put_u16(frame.id);
    }
    if version == Version::V5 {
        write_varint(property_bytes, out);
        if let Some(seconds) = frame.expiry {
            out.put_u8(id::MESSAGE_EXPIRY_INTERVAL);
            out.put_u32(seconds);
        }
        for &identifier in frame.identifiers {
            out.put_u8(id::SUBSCRIPTION_IDENTIFIER);
            write_varint(identifier as usize, out);
        }
        if let Some(properties) = frame.message.properties.as_deref() {
            properties::write_message(properties, out);
        }
    }
    out.extend_from_slice(&frame.message.payload);
    true
}

fn acknowledgement(first: u8, version: Version, id: u16, reason: Reason, out: &mut BytesMut) {
    let [high, low] = id.to_be_bytes();
    if version == Version::V311 || reason == Reason::SUCCESS {
        out.extend_from_slice(&[first, 2, high, low]);
    } else {
        out.extend_from_slice(&[first, 3, high, low, reason.0]);
    }
}

pub(in crate::broker) fn puback(version: Version, id: u16, reason: Reason, out: &mut BytesMut) {
    acknowledgement(0x40, version, id, reason, out);
}

pub(in crate::broker) fn pubrec(version: Version, id: u16, reason: Reason, out: &mut BytesMut) {
    acknowledgement(0x50, version, id, reason, out);
}

pub(in crate::broker) fn pubrel(version: Version, id: u16, reason: Reason, out: &mut BytesMut) {
    acknowledgement(0x62, version, id, reason, out);
}

pub(in crate::broker) fn pubcomp(version: Version, id: u16, reason: Reason, out: &mut BytesMut) {
    acknowledgement(0x70, version, id, reason, out);
}

/// SUBACK; one code per filter, the granted QoS or a failure.
pub(in crate::broker) fn suback(version: Version, id: u16, codes: &[u8], out: &mut BytesMut) {
    let properties = usize::from(version == Version::V5);
    out.put_u8(0x90);
    write_varint(2 + properties + codes.len(), out);
    out.put_u16(id);
    out.put_bytes(0, properties);
    for &code in codes {
        out.put_u8(if version == Version::V311 { code.min(0x80) } else { code });
    }
}

/// UNSUBACK; MQTT 3.1.1 knows no codes.
pub(in crate::broker) fn unsuback(version: Version, id: u16, codes: &[u8], out: &mut BytesMut) {
    out.put_u8(0xb0);
    match version {
        Version::V311 => {
            out.put_u8(2);
            out.put_u16(id);
        }
        Version::V5 => {
            write_varint(3 + codes.len(), out);
            out.put_u16(id);
            out.put_u8(0);
            out.extend_from_slice(codes);
        }
    }
}

pub(in crate::broker) fn pingresp(out: &mut BytesMut) {
    out.extend_from_slice(&[0xd0, 0]);
}

/// DISCONNECT, which a server may only send in MQTT 5; nothing in 3.1.1. It carries its empty
/// properties, as some clients cannot read it without.
pub(in crate::broker) fn disconnect(version: Version, reason: Reason, out: &mut BytesMut) {
    if version == Version::V5 {
        out.extend_from_slice(&[0xe0, 2, reason.0, 0]);
    }
}
