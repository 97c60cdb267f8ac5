//! Properties of MQTT 5 (section 2.2.2).

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Malformed, reader::Reader};
use crate::broker::Properties;

pub(super) mod id {
    pub const PAYLOAD_FORMAT_INDICATOR: u8 = 1;
    pub const MESSAGE_EXPIRY_INTERVAL: u8 = 2;
    pub const CONTENT_TYPE: u8 = 3;
    pub const RESPONSE_TOPIC: u8 = 8;
    pub const CORRELATION_DATA: u8 = 9;
    pub const SUBSCRIPTION_IDENTIFIER: u8 = 11;
    pub const SESSION_EXPIRY_INTERVAL: u8 = 17;
    pub const ASSIGNED_CLIENT_IDENTIFIER: u8 = 18;
    pub const SERVER_KEEP_ALIVE: u8 = 19;
    pub const AUTHENTICATION_METHOD: u8 = 21;
    pub const AUTHENTICATION_DATA: u8 = 22;
    pub const REQUEST_PROBLEM_INFORMATION: u8 = 23;
    pub const WILL_DELAY_INTERVAL: u8 = 24;
    pub const REQUEST_RESPONSE_INFORMATION: u8 = 25;
    pub const SERVER_REFERENCE: u8 = 28;
    pub const REASON_STRING: u8 = 31;
    pub const RECEIVE_MAXIMUM: u8 = 33;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 34;
    pub const TOPIC_ALIAS: u8 = 35;
    pub const USER_PROPERTY: u8 = 38;
    pub const MAXIMUM_PACKET_SIZE: u8 = 39;
}

/// The properties that a kind of packet may have, as a set of ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed(u64);

impl Allowed {
    const fn of(ids: &[u8]) -> Self {
        let mut set = 0;
        let mut index = 0;
        while index < ids.len() {
            set |= 1 << ids[index];
            index += 1;
        }
        Self(set)
    }

    pub const CONNECT: Self = Self::of(&[
        id::SESSION_EXPIRY_INTERVAL,
        id::RECEIVE_MAXIMUM,
        id::MAXIMUM_PACKET_SIZE,
        id::TOPIC_ALIAS_MAXIMUM,
        id::REQUEST_RESPONSE_INFORMATION,
        id::REQUEST_PROBLEM_INFORMATION,
        id::USER_PROPERTY,
        id::AUTHENTICATION_METHOD,
        id::AUTHENTICATION_DATA,
    ]);
    pub const WILL: Self = Self::of(&[
        id::WILL_DELAY_INTERVAL,
        id::PAYLOAD_FORMAT_INDICATOR,
        id::MESSAGE_EXPIRY_INTERVAL,
        id::CONTENT_TYPE,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
        id::USER_PROPERTY,
    ]);
    pub const PUBLISH: Self = Self::of(&[
        id::PAYLOAD_FORMAT_INDICATOR,
        id::MESSAGE_EXPIRY_INTERVAL,
        id::TOPIC_ALIAS,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
        id::USER_PROPERTY,
        id::CONTENT_TYPE,
    ]);
    pub const ACKNOWLEDGEMENT: Self = Self::of(&[id::REASON_STRING, id::USER_PROPERTY]);
    pub const SUBSCRIBE: Self = Self::of(&[id::SUBSCRIPTION_IDENTIFIER, id::USER_PROPERTY]);
    pub const UNSUBSCRIBE: Self = Self::of(&[id::USER_PROPERTY]);
    pub const DISCONNECT: Self = Self::of(&[
        id::SESSION_EXPIRY_INTERVAL,
        id::REASON_STRING,
        id::USER_PROPERTY,
        id::SERVER_REFERENCE,
    ]);
    pub const AUTH: Self = Self::of(&[
        id::AUTHENTICATION_METHOD,
        id::AUTHENTICATION_DATA,
        id::REASON_STRING,
        id::USER_PROPERTY,
    ]);
}

const UNKNOWN: Malformed =
    Malformed::packet("a property that this packet may not have", "MQTT-2.2.2-2");
const TWICE: Malformed = Malformed::protocol("a property comes twice", "MQTT-2.2.2-2");
const VALUE: Malformed = Malformed::protocol("a property's value is out of range", "MQTT-4.13.1-1");

/// What was found. Properties that a server has no use for are checked and let go.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub message: Properties,
    /// Whether `message` has any.
    pub has_message: bool,
    pub topic_alias: Option<u16>,
    pub subscription_identifier: Option<u32>,
    pub session_expiry: Option<u32>,
    pub receive_max: Option<u16>,
    pub packet_bytes_max: Option<u32>,
    pub will_delay: Option<u32>,
    pub authentication_method: bool,
}

impl Found {
    pub fn into_message(self) -> Option<Arc<Properties>> {
        self.has_message.then(|| Arc::new(self.message))
    }
}

/// Reads a property length and the properties.
pub(super) fn read(reader: &mut Reader<'_>, allowed: Allowed) -> Result<Found, Malformed> {
    let mut found = Found::default();
    let length = reader.varint()?;
    if length == 0 {
        return Ok(found);
    }
    let mut reader = Reader::new(reader.take(length as usize)?);
    let mut seen = 0_u64;
    while !reader.is_empty() {
        let property = reader.u8()?;
        if property >= 64 || allowed.0 & (1 << property) == 0 {
            return Err(UNKNOWN);
        }
        if property != id::USER_PROPERTY && seen & (1 << property) != 0 {
            return Err(TWICE);
        }
        seen |= 1 << property;
        read_one(property, &mut reader, &mut found)?;
    }
    Ok(found)
}

fn read_one(property: u8, reader: &mut Reader<'_>, found: &mut Found) -> Result<(), Malformed> {
    match property {
        id::SUBSCRIPTION_IDENTIFIER => {
            found.subscription_identifier = Some(non_zero(reader.varint()?)?);
        }
        id::SESSION_EXPIRY_INTERVAL => found.session_expiry = Some(reader.u32()?),
        id::AUTHENTICATION_METHOD => {
            reader.str()?;
            found.authentication_method = true;
        }
        id::AUTHENTICATION_DATA => drop(reader.binary()?),
        id::REQUEST_PROBLEM_INFORMATION | id::REQUEST_RESPONSE_INFORMATION => {
            flag(reader.u8()?)?;
        }
        id::WILL_DELAY_INTERVAL => found.will_delay = Some(reader.u32()?),
        id::SERVER_REFERENCE | id::REASON_STRING => drop(reader.str()?),
        id::RECEIVE_MAXIMUM => {
            found.receive_max = Some(non_zero(reader.u16()?.into())? as u16);
        }
        id::TOPIC_ALIAS_MAXIMUM => drop(reader.u16()?),
        // 0 is refused by the session, as the alias maximum is its matter.
        id::TOPIC_ALIAS => found.topic_alias = Some(reader.u16()?),
        id::MAXIMUM_PACKET_SIZE => found.packet_bytes_max = Some(non_zero(reader.u32()?)?),
        id::USER_PROPERTY => {
            let pair = (reader.string()?, reader.string()?);
            found.message.user_properties.push(pair);
            found.has_message = true;
        }
        _ => return read_of_message(property, reader, found),
    }
    Ok(())
}

fn read_of_message(
    property: u8,
    reader: &mut Reader<'_>,
    found: &mut Found,
) -> Result<(), Malformed> {
    let message = &mut found.message;
    match property {
        id::PAYLOAD_FORMAT_INDICATOR => {
            message.payload_format_indicator = Some(flag(reader.u8()?)?);
        }
        id::MESSAGE_EXPIRY_INTERVAL => message.message_expiry_interval = Some(reader.u32()?),
        id::CONTENT_TYPE => message.content_type = Some(reader.string()?),
        id::RESPONSE_TOPIC => message.response_topic = Some(reader.string()?),
        id::CORRELATION_DATA => message.correlation_data = Some(reader.bytes()?),
        _ => return Err(UNKNOWN),
    }
    found.has_message = true;
    Ok(())
}

fn non_zero(value: u32) -> Result<u32, Malformed> {
    if value == 0 { Err(VALUE) } else { Ok(value) }
}

fn flag(value: u8) -> Result<u8, Malformed> {
    if value > 1 { Err(VALUE) } else { Ok(value) }
}

/// Bytes that the properties of a message take on the wire, without their length.
pub(super) fn message_bytes(properties: &Properties) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, |text| 3 + text.len());
    let users = &properties.user_properties;
    properties.payload_format_indicator.map_or(0, |_| 2)
        + text(&properties.content_type)
        + text(&properties.response_topic)
        + properties.correlation_data.as_ref().map_or(0, |data| 3 + data.len())
        + users.iter().map(|(name, value)| 5 + name.len() + value.len()).sum::<usize>()
}

/// Writes the properties of a message, all but the expiry, which changes with time.
pub(super) fn write_message(properties: &Properties, out: &mut BytesMut) {
    if let Some(indicator) = properties.payload_format_indicator {
        out.put_u8(id::PAYLOAD_FORMAT_INDICATOR);
        out.put_u8(indicator);
    }
    if let Some(text) = &properties.content_type {
        out.put_u8(id::CONTENT_TYPE);
        write_binary(text.as_bytes(), out);
    }
    if let Some(text) = &properties.response_topic {
        out.put_u8(id::RESPONSE_TOPIC);
        write_binary(text.as_bytes(), out);
    }
    if let Some(data) = properties.correlation_data.as_ref().map(Bytes::as_ref) {
        out.put_u8(id::CORRELATION_DATA);
        write_binary(data, out);
    }
    for (name, value) in &properties.user_properties {
        out.put_u8(id::USER_PROPERTY);
        write_binary(name.as_bytes(), out);
        write_binary(value.as_bytes(), out);
    }
}

/// Writes binary data or a string with its length before it.
pub(super) fn write_binary(bytes: &[u8], out: &mut BytesMut) {
    // Whatever comes here was read with a length of two bytes or is bounded far below it.
    out.put_u16(bytes.len() as u16);
    out.extend_from_slice(bytes);
}

/// Writes a variable byte integer.
pub(super) fn write_varint(mut value: usize, out: &mut BytesMut) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        out.put_u8(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return;
        }
    }
}

/// Bytes of a variable byte integer.
pub(super) fn varint_bytes(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}
