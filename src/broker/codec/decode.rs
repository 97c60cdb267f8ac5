//! From bytes to packets.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Acknowledgement, Disconnect, Filter, Malformed, Packet, Publish, Reason, RetainHandling,
    Subscribe, Unsubscribe, Version, connect, frame,
    properties::{self, Allowed, Found},
    reader::Reader,
};
use crate::broker::{QoS, topic};

const FLAGS: Malformed = Malformed::packet("the flags of the fixed header", "MQTT-2.2.2-2");
pub(super) const QOS_3: Malformed = Malformed::packet("QoS 3", "MQTT-3.3.1-4");
const ID_ZERO: Malformed = Malformed::protocol("a packet id of 0", "MQTT-2.3.1-1");
const NO_FILTER: Malformed = Malformed::protocol("no topic filter", "MQTT-3.8.3-3");

/// Decodes what one client sends.
#[derive(Debug)]
pub(in crate::broker) struct Decoder {
    version: Version,
    packet_bytes_max: usize,
    /// The last topic: most devices have few, and this spares the check and the allocation.
    topic: Option<Arc<str>>,
}

impl Decoder {
    /// A decoder for a client that has not said its version yet.
    pub fn new(packet_bytes_max: usize) -> Self {
        Self { version: Version::V311, packet_bytes_max, topic: None }
    }

    /// From now on, packets of up to this size are taken.
    pub fn set_packet_bytes_max(&mut self, packet_bytes_max: usize) {
        self.packet_bytes_max = packet_bytes_max;
    }

    /// The next packet at the buffer's beginning and its size; `None` while it is not all there.
    pub fn next(&mut self, buffer: &[u8]) -> Result<Option<(Packet, usize)>, Malformed> {
        let Some(frame) = frame::next(buffer, self.packet_bytes_max)? else { return Ok(None) };
        let body = &buffer[frame.header_bytes..frame.total_bytes];
        let packet = self.packet(frame.first, body)?;
        if let Packet::Connect(connect) = &packet {
            self.version = connect.version;
        }
        Ok(Some((packet, frame.total_bytes)))
    }

    fn packet(&mut self, first: u8, body: &[u8]) -> Result<Packet, Malformed> {
        let reader = Reader::new(body);
        let flags = first & 0x0f;
        let expected = match first >> 4 {
            3 => return self.publish(flags, reader).map(Packet::Publish),
            6 | 8 | 10 => 0b0010,
            _ => 0,
        };
        if flags != expected {
            return Err(FLAGS);
        }
        match first >> 4 {
            1 => connect::connect(reader).map(|connect| Packet::Connect(Box::new(connect))),
            4 => self.acknowledgement(reader).map(Packet::PubAck),
            5 => self.acknowledgement(reader).map(Packet::PubRec),
            6 => self.acknowledgement(reader).map(Packet::PubRel),
            7 => self.acknowledgement(reader).map(Packet::PubComp),
            8 => self.subscribe(reader).map(Packet::Subscribe),
            10 => self.unsubscribe(reader).map(Packet::Unsubscribe),
            12 => reader.end().map(|()| Packet::PingReq),
            14 => self.disconnect(reader).map(Packet::Disconnect),
            15 if self.version == Version::V5 => auth(reader),
            _ => Err(Malformed::protocol("a packet that no client sends", "MQTT-4.8.0-1")),
        }
    }

    fn properties(&self, reader: &mut Reader<'_>, allowed: Allowed) -> Result<Found, Malformed> {
        match self.version {
            Version::V311 => Ok(Found::default()),
            Version::V5 => properties::read(reader, allowed),
        }
    }

    fn publish(&mut self, flags: u8, mut reader: Reader<'_>) -> Result<Publish, Malformed> {
        let qos = qos((flags >> 1) & 0b11)?;
        if qos == QoS::AtMostOnce && flags & 0b1000 != 0 {
            return Err(Malformed::protocol("DUP at QoS 0", "MQTT-3.3.1-2"));
        }
        let topic = self.topic(&mut reader)?;
        let id = if qos == QoS::AtMostOnce { 0 } else { packet_id(&mut reader)? };
        let (topic_alias, properties) = if self.version == Version::V5 {
            let found = properties::read(&mut reader, Allowed::PUBLISH)?;
            check_response_topic(&found)?;
            (found.topic_alias, found.into_message())
        } else {
            (None, None)
        };
        if topic.is_empty() && topic_alias.is_none() {
            return Err(Malformed::protocol("an empty topic", "MQTT-4.7.3-1")
                .because(Reason::TOPIC_NAME_INVALID));
        }
        let payload = Bytes::copy_from_slice(reader.remainder());
        let retain = flags & 1 != 0;
        Ok(Publish { qos, retain, topic, id, payload, topic_alias, properties })
    }

    fn topic(&mut self, reader: &mut Reader<'_>) -> Result<Arc<str>, Malformed> {
        let mut peek = *reader;
        let bytes = peek.binary()?;
        if let Some(last) = &self.topic
            && last.as_bytes() == bytes
        {
            *reader = peek;
            return Ok(last.clone());
        }
        let name = reader.str()?;
        if name.is_empty() && self.version == Version::V5 {
            return Ok(Arc::from(""));
        }
        topic::check_name(name)?;
        let name = Arc::<str>::from(name);
        self.topic = Some(name.clone());
        Ok(name)
    }

    fn acknowledgement(&self, mut reader: Reader<'_>) -> Result<Acknowledgement, Malformed> {
        let id = packet_id(&mut reader)?;
        let mut reason = Reason::SUCCESS;
        if self.version == Version::V5 && !reader.is_empty() {
            reason = Reason(reader.u8()?);
            if !reader.is_empty() {
                properties::read(&mut reader, Allowed::ACKNOWLEDGEMENT)?;
            }
        }
        reader.end()?;
        Ok(Acknowledgement { id, reason })
    }

    fn subscribe(&self, mut reader: Reader<'_>) -> Result<Subscribe, Malformed> {
        let id = packet_id(&mut reader)?;
        let identifier = self.properties(&mut reader, Allowed::SUBSCRIBE)?.subscription_identifier;
        let mut filters = Vec::new();
        while !reader.is_empty() {
            filters.push(self.filter(&mut reader)?);
        }
        if filters.is_empty() {
            return Err(NO_FILTER);
        }
        Ok(Subscribe { id, identifier, filters })
    }

    fn filter(&self, reader: &mut Reader<'_>) -> Result<Filter, Malformed> {
        let path = reader.string()?;
        topic::check_filter(&path)?;
        let options = reader.u8()?;
        let reserved = if self.version == Version::V5 { 0b1100_0000 } else { 0b1111_1100 };
        if options & reserved != 0 {
            return Err(Malformed::packet("reserved subscription options", "MQTT-3.8.3-4"));
        }
        let no_local = options & 0b100 != 0;
        if no_local && path.starts_with("$share/") {
            return Err(Malformed::protocol("no local on a shared subscription", "MQTT-3.8.3-4"));
        }
        Ok(Filter {
            path,
            qos: qos(options & 0b11)?,
            no_local,
            retain_as_published: options & 0b1000 != 0,
            retain_handling: match options >> 4 {
                0 => RetainHandling::OnSubscribe,
                1 => RetainHandling::OnNewSubscription,
                2 => RetainHandling::Never,
                _ => return Err(Malformed::protocol("retain handling 3", "MQTT-3.8.3-4")),
            },
        })
    }

    fn unsubscribe(&self, mut reader: Reader<'_>) -> Result<Unsubscribe, Malformed> {
        let id = packet_id(&mut reader)?;
        self.properties(&mut reader, Allowed::UNSUBSCRIBE)?;
        let mut filters = Vec::new();
        while !reader.is_empty() {
            let path = reader.string()?;
            topic::check_filter(&path)?;
            filters.push(path);
        }
        if filters.is_empty() {
            return Err(Malformed { clause: "MQTT-3.10.3-2", ..NO_FILTER });
        }
        Ok(Unsubscribe { id, filters })
    }

    fn disconnect(&self, mut reader: Reader<'_>) -> Result<Disconnect, Malformed> {
        let mut disconnect = Disconnect { reason: Reason::SUCCESS, session_expiry: None };
        if self.version == Version::V5 && !reader.is_empty() {
            disconnect.reason = Reason(reader.u8()?);
            if !reader.is_empty() {
                let found = properties::read(&mut reader, Allowed::DISCONNECT)?;
                disconnect.session_expiry = found.session_expiry;
            }
        }
        reader.end()?;
        Ok(disconnect)
    }
}

fn auth(mut reader: Reader<'_>) -> Result<Packet, Malformed> {
    if !reader.is_empty() {
        reader.u8()?;
        properties::read(&mut reader, Allowed::AUTH)?;
    }
    reader.end()?;
    Ok(Packet::Auth)
}

pub(super) fn qos(bits: u8) -> Result<QoS, Malformed> {
    match bits {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        2 => Ok(QoS::ExactlyOnce),
        _ => Err(QOS_3),
    }
}

fn packet_id(reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    match reader.u16()? {
        0 => Err(ID_ZERO),
        id => Ok(id),
    }
}

pub(super) fn check_response_topic(found: &Found) -> Result<(), Malformed> {
    match &found.message.response_topic {
        Some(topic) => {
            topic::check_name(topic).map_err(|error| Malformed { clause: "MQTT-3.3.2-14", ..error })
        }
        None => Ok(()),
    }
}
