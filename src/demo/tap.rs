//! Listens in on one MQTT connection and notes what the cloud acknowledged.
//!
//! This is the demo's oracle. A message counts as arrived only when the cloud's broker has
//! answered it with a PUBACK, so what the tap passes on is exactly what the gateway may believe
//! to be delivered. A subscription to `#` would not do: rumqttd drops messages for a subscriber
//! that falls behind its segments, and the demo would then report a loss that never was.

use std::collections::HashMap;

use bytes::BytesMut;
use rumqttc::mqttbytes::{
    Error, QoS,
    v4::{Packet, Publish},
};
use thiserror::Error as ThisError;

/// The largest packet that the tap reads; the cloud takes no larger one either.
pub const PACKET_BYTES_MAX: usize = 1024 * 1024;

/// What the tap learnt from some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overheard {
    /// The cloud acknowledged this message.
    Arrived(Publish),
    /// The cloud acknowledged a subscription: commands can go down.
    Subscribed,
}

/// The bytes are not MQTT 3.1.1; the connection must be given up.
#[derive(Debug, ThisError)]
#[error("the bytes on the connection are not MQTT 3.1.1: {0}")]
pub struct NotMqtt(Error);

/// The state of one tapped connection.
#[derive(Debug, Default)]
pub struct Tap {
    up: BytesMut,
    down: BytesMut,
    unacknowledged: HashMap<u16, Publish>,
}

impl Tap {
    /// Takes bytes on their way from the gateway to the cloud.
    pub fn up(&mut self, bytes: &[u8]) -> Result<(), NotMqtt> {
        self.up.extend_from_slice(bytes);
        while let Some(packet) = next(&mut self.up)? {
            if let Packet::Publish(publish) = packet
                && publish.qos == QoS::AtLeastOnce
            {
                self.unacknowledged.insert(publish.pkid, publish);
            }
        }
        Ok(())
    }

    /// Takes bytes on their way from the cloud to the gateway.
    pub fn down(&mut self, bytes: &[u8]) -> Result<Vec<Overheard>, NotMqtt> {
        self.down.extend_from_slice(bytes);
        let mut overheard = Vec::new();
        while let Some(packet) = next(&mut self.down)? {
            match packet {
                Packet::PubAck(ack) => {
                    overheard.extend(self.unacknowledged.remove(&ack.pkid).map(Overheard::Arrived));
                }
                Packet::SubAck(_) => overheard.push(Overheard::Subscribed),
                _ => {}
            }
        }
        Ok(overheard)
    }
}

fn next(buffer: &mut BytesMut) -> Result<Option<Packet>, NotMqtt> {
    match Packet::read(buffer, PACKET_BYTES_MAX) {
        Ok(packet) => Ok(Some(packet)),
        Err(Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(NotMqtt(error)),
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::PubAck;

    use super::*;

    fn publish(pkid: u16, payload: &str) -> Vec<u8> {
        let mut publish = Publish::new("a/b", QoS::AtLeastOnce, payload);
        publish.pkid = pkid;
        let mut bytes = BytesMut::new();
        publish.write(&mut bytes).unwrap();
        bytes.to_vec()
    }

    fn puback(pkid: u16) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        PubAck::new(pkid).write(&mut bytes).unwrap();
        bytes.to_vec()
    }

    fn payloads(overheard: Vec<Overheard>) -> Vec<String> {
        overheard
            .into_iter()
            .map(|heard| match heard {
                Overheard::Arrived(publish) => String::from_utf8(publish.payload.to_vec()).unwrap(),
                Overheard::Subscribed => "subscribed".to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_message_has_arrived_only_when_the_cloud_acknowledged_it() {
        let mut tap = Tap::default();
        tap.up(&publish(1, "one")).unwrap();
        tap.up(&publish(2, "two")).unwrap();
        assert_eq!(payloads(tap.down(&puback(2)).unwrap()), ["two"]);
        assert_eq!(payloads(tap.down(&puback(2)).unwrap()), Vec::<String>::new());
        assert_eq!(payloads(tap.down(&puback(1)).unwrap()), ["one"]);
    }

    #[test]
    fn packets_may_come_in_any_pieces() {
        let mut tap = Tap::default();
        for byte in publish(7, "seven") {
            tap.up(&[byte]).unwrap();
        }
        let [first, rest @ ..] = &puback(7)[..] else { unreachable!() };
        assert!(tap.down(&[*first]).unwrap().is_empty());
        assert_eq!(payloads(tap.down(rest).unwrap()), ["seven"]);
    }

    #[test]
    fn bytes_that_are_not_mqtt_are_an_error_and_no_panic() {
        assert!(Tap::default().up(&[0; 16]).is_err());
        assert!(Tap::default().down(&[0xff; 16]).is_err());
    }
}
