use bytes::BytesMut;
use proptest::prelude::*;
use rumqttc::{mqttbytes::v4, v5::mqttbytes::v5};

use super::*;
use crate::broker::{Message, Properties, QoS};

const MAX: usize = 1024 * 1024;

/// A decoder that has seen a CONNECT of the version.
fn decoder(version: Version) -> Decoder {
    let mut decoder = Decoder::new(MAX);
    let connect = connect(version, 0b10, &[0, 1, b'c']);
    assert!(matches!(decoder.next(&connect), Ok(Some((Packet::Connect(_), _)))));
    decoder
}

/// A CONNECT with these flags and this payload.
fn connect(version: Version, flags: u8, payload: &[u8]) -> Vec<u8> {
    let level = if version == Version::V5 { 5 } else { 4 };
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level, flags, 0, 60];
    if version == Version::V5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    frame(0x10, &body)
}

fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::from(&[first][..]);
    properties::write_varint(body.len(), &mut out);
    out.extend_from_slice(body);
    out.to_vec()
}

fn clause(version: Version, bytes: &[u8]) -> &'static str {
    match decoder(version).next(bytes) {
        Err(malformed) => malformed.clause,
        Ok(packet) => panic!("{bytes:02x?} was taken as {packet:?}"),
    }
}

#[test]
fn what_the_specification_forbids_in_both_versions_is_refused_with_its_clause() {
    for version in [Version::V311, Version::V5] {
        let p: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let with = |head: &[u8], tail: &[u8]| [head, p, tail].concat();
        for (bytes, expected) in [
            (frame(0x36, &with(&[0, 1, b'a', 0, 1], &[])), "MQTT-3.3.1-4"),
            (frame(0x38, &with(&[0, 1, b'a'], &[])), "MQTT-3.3.1-2"),
            (frame(0x30, &with(&[0, 3, b'a', b'/', b'+'], &[])), "MQTT-3.3.2-2"),
            (frame(0x30, &with(&[0, 2, b'a', 0], &[])), "MQTT-1.5.3-2"),
            (frame(0x30, &with(&[0, 2, 0xc3, 0x28], &[])), "MQTT-1.5.3-1"),
            (frame(0x30, &with(&[0, 3, 0xed, 0xa0, 0x80], &[])), "MQTT-1.5.3-1"),
            (frame(0x30, &with(&[0, 0], b"x")), "MQTT-4.7.3-1"),
            (frame(0x32, &with(&[0, 1, b'a', 0, 0], &[])), "MQTT-2.3.1-1"),
            (frame(0x30, &[0, 9, b'a']), "MQTT-4.8.0-1"),
            (frame(0x40, &[0, 0]), "MQTT-2.3.1-1"),
            (frame(0x42, &[0, 1]), "MQTT-2.2.2-2"),
            (frame(0x60, &[0, 1]), "MQTT-2.2.2-2"),
            (frame(0x80, &with(&[0, 1], &[0, 1, b'a', 0])), "MQTT-2.2.2-2"),
            (frame(0x82, &with(&[0, 0], &[0, 1, b'a', 0])), "MQTT-2.3.1-1"),
            (frame(0x82, &with(&[0, 1], &[])), "MQTT-3.8.3-3"),
            (frame(0x82, &with(&[0, 1], &[0, 1, b'a', 3])), "MQTT-3.3.1-4"),
            (frame(0x82, &with(&[0, 1], &[0, 1, b'a', 0x40])), "MQTT-3.8.3-4"),
            (frame(0x82, &with(&[0, 1], &[0, 2, b'a', b'#', 0])), "MQTT-4.7.1-2"),
            (frame(0x82, &with(&[0, 1], &[0, 1, b'a'])), "MQTT-4.8.0-1"),
            (frame(0xa2, &with(&[0, 1], &[])), "MQTT-3.10.3-2"),
            (frame(0xa2, &with(&[0, 1], &[0, 2, b'+', b'+'])), "MQTT-4.7.1-3"),
            (frame(0xc0, &[0]), "MQTT-4.8.0-1"),
            (frame(0xc1, &[]), "MQTT-2.2.2-2"),
            (frame(0xe1, &[]), "MQTT-2.2.2-2"),
            (frame(0x20, &[0, 0]), "MQTT-4.8.0-1"),
            (frame(0x00, &[]), "MQTT-4.8.0-1"),
            (vec![0xc0, 0xff, 0xff, 0xff, 0xff, 0x01], "MQTT-2.2.3-1"),
            (vec![0xc0, 0x80, 0x00], "MQTT-1.5.5-1"),
            (vec![0x30, 0x80, 0x80, 0x80, 0x01], "MQTT-3.2.2-15"),
        ] {
            assert_eq!(clause(version, &bytes), expected, "{version:?} {bytes:02x?}");
        }
    }
}

#[test]
fn a_connect_that_breaks_the_specification_is_refused_with_its_clause() {
    let with_name = |name: &[u8], level: u8| {
        frame(0x10, &[&[0, name.len() as u8], name, &[level, 2, 0, 0, 0, 1, b'c']].concat())
    };
    for (bytes, expected) in [
        (with_name(b"MQTX", 4), "MQTT-3.1.2-1"),
        (with_name(b"MQIsdp", 3), "MQTT-3.1.2-1"),
        (with_name(b"MQTT", 3), "MQTT-3.1.2-2"),
        (with_name(b"MQTT", 6), "MQTT-3.1.2-2"),
        (connect(Version::V311, 0b11, &[0, 1, b'c']), "MQTT-3.1.2-3"),
        (connect(Version::V311, 0b10_0010, &[0, 1, b'c']), "MQTT-3.1.2-11"),
        (connect(Version::V311, 0b1010, &[0, 1, b'c']), "MQTT-3.1.2-11"),
        (connect(Version::V311, 0b1_1110, &[0, 1, b'c', 0, 1, b't', 0, 0]), "MQTT-3.1.2-14"),
        (connect(Version::V311, 0b0100_0010, &[0, 1, b'c', 0, 0]), "MQTT-3.1.2-22"),
        (connect(Version::V311, 0, &[0, 0]), "MQTT-3.1.3-8"),
        (connect(Version::V311, 0b110, &[0, 1, b'c', 0, 1, b'#', 0, 0]), "MQTT-3.3.2-2"),
        (connect(Version::V311, 0b10, &[0, 1, b'c', 0]), "MQTT-4.8.0-1"),
        (connect(Version::V311, 0b1000_0010, &[0, 1, b'c']), "MQTT-4.8.0-1"),
    ] {
        let error = Decoder::new(MAX).next(&bytes).unwrap_err();
        assert_eq!(error.clause, expected, "{bytes:02x?}");
    }
}

#[test]
fn properties_must_fit_their_packet_their_length_and_their_range() {
    let publish = |properties: &[u8]| {
        frame(0x30, &[&[0, 1, b'a', properties.len() as u8], properties, b"xx"].concat())
    };
    for (properties, expected) in [
        (&[0x21, 0, 1][..], "MQTT-2.2.2-2"),
        (&[0x0b, 1], "MQTT-2.2.2-2"),
        (&[0x7f], "MQTT-2.2.2-2"),
        (&[0x01, 0, 0x01, 0], "MQTT-2.2.2-2"),
        (&[0x01, 2], "MQTT-4.13.1-1"),
        (&[0x02, 0, 0], "MQTT-4.8.0-1"),
        (&[0x08, 0, 1, b'#'], "MQTT-3.3.2-14"),
        (&[0x26, 0, 1, b'k'], "MQTT-4.8.0-1"),
    ] {
        assert_eq!(clause(Version::V5, &publish(properties)), expected, "{properties:02x?}");
    }
    let subscribe = |properties: &[u8]| {
        let head = [&[0, 1, properties.len() as u8], properties].concat();
        frame(0x82, &[&head[..], &[0, 1, b'a', 0]].concat())
    };
    assert_eq!(clause(Version::V5, &subscribe(&[0x0b, 0])), "MQTT-4.13.1-1");
    assert_eq!(clause(Version::V5, &subscribe(&[0x0b, 1, 0x0b, 2])), "MQTT-2.2.2-2");
}

#[test]
fn a_v5_disconnect_of_two_bytes_is_a_normal_one() {
    let normal = Disconnect { reason: Reason::SUCCESS, session_expiry: None };
    let decoded = decoder(Version::V5).next(&[0xe0, 0]);
    assert_eq!(decoded, Ok(Some((Packet::Disconnect(normal), 2))));
}

#[test]
fn a_password_may_be_any_bytes() {
    let payload = [0, 1, b'c', 0, 1, b'u', 0, 2, 0xff, 0x00];
    let bytes = connect(Version::V311, 0b1100_0010, &payload);
    let Ok(Some((Packet::Connect(connect), _))) = Decoder::new(MAX).next(&bytes) else {
        panic!("the CONNECT was not taken");
    };
    assert_eq!(connect.password.as_deref(), Some(&[0xff, 0x00][..]));
    assert_eq!(connect.user_name.as_deref(), Some("u"));
}

#[test]
fn a_topic_is_checked_again_after_a_good_one() {
    let mut decoder = decoder(Version::V311);
    let good = frame(0x30, &[0, 1, b'a']);
    assert!(decoder.next(&good).is_ok());
    assert!(decoder.next(&good).is_ok());
    assert!(decoder.next(&frame(0x30, &[0, 1, b'+'])).is_err());
}

#[test]
fn packets_of_a_v311_client_library_mean_the_same_here() {
    let mut bytes = BytesMut::new();
    let mut publish = v4::Publish::new("a/b", rumqttc::QoS::ExactlyOnce, "payload");
    publish.pkid = 7;
    publish.retain = true;
    publish.write(&mut bytes).expect("it can be written");
    let mut subscribe = v4::Subscribe::new("x/#", rumqttc::QoS::AtLeastOnce);
    subscribe.pkid = 8;
    subscribe.write(&mut bytes).expect("it can be written");
    let mut decoder = decoder(Version::V311);
    let (first, size) = decoder.next(&bytes).expect("well formed").expect("whole");
    let expected = Publish {
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: "a/b".into(),
        id: 7,
        payload: "payload".into(),
        topic_alias: None,
        properties: None,
    };
    assert_eq!(first, Packet::Publish(expected));
    let (second, rest) = decoder.next(&bytes[size..]).expect("well formed").expect("whole");
    assert_eq!(size + rest, bytes.len());
    let Packet::Subscribe(subscribe) = second else { panic!("{second:?}") };
    assert_eq!((subscribe.id, subscribe.filters.len()), (8, 1));
    assert_eq!((&*subscribe.filters[0].path, subscribe.filters[0].qos), ("x/#", QoS::AtLeastOnce));
}

fn message(properties: Option<Properties>) -> Message {
    Message {
        topic: "a/b".into(),
        payload: "payload".into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        properties: properties.map(Into::into),
    }
}

fn publish_frame(message: &Message) -> PublishFrame<'_> {
    PublishFrame {
        message,
        qos: QoS::AtLeastOnce,
        retain: true,
        dup: true,
        id: 300,
        expiry: Some(9),
        identifiers: &[1, 200_000],
    }
}

#[test]
fn a_v5_client_library_reads_every_property_that_is_written() {
    let message = message(Some(Properties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(60),
        content_type: Some("text/plain".to_owned()),
        response_topic: Some("r/t".to_owned()),
        correlation_data: Some("corr".into()),
        user_properties: vec![("k".to_owned(), "v".to_owned()), ("k".to_owned(), "w".to_owned())],
    }));
    let mut out = BytesMut::new();
    assert!(publish(Version::V5, publish_frame(&message), MAX, &mut out));
    let size = out.len();
    let read = v5::Packet::read(&mut out, None).expect("the library reads it");
    let v5::Packet::Publish(read) = read else { panic!("{read:?}") };
    assert_eq!((&read.topic[..], &read.payload[..]), (&b"a/b"[..], &b"payload"[..]));
    assert_eq!((read.pkid, read.dup, read.retain), (300, true, true));
    let properties = read.properties.expect("it has properties");
    assert_eq!(properties.message_expiry_interval, Some(9));
    assert_eq!(properties.subscription_identifiers, [1, 200_000]);
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(properties.response_topic.as_deref(), Some("r/t"));
    assert_eq!(properties.correlation_data.as_deref(), Some(&b"corr"[..]));
    assert_eq!(properties.user_properties.len(), 2);
    // One byte less than its size is too little, and leaves nothing behind.
    let mut out = BytesMut::new();
    assert!(!publish(Version::V5, publish_frame(&message), size - 1, &mut out));
    assert!(out.is_empty());
    assert!(publish(Version::V5, publish_frame(&message), size, &mut out));
}

#[test]
fn a_client_library_reads_every_answer() {
    let mut out = BytesMut::new();
    suback(Version::V311, 5, &[0, 1, 2, 0x97], &mut out);
    unsuback(Version::V311, 6, &[0, 0x11], &mut out);
    pubcomp(Version::V311, 7, Reason::PACKET_ID_NOT_FOUND, &mut out);
    pingresp(&mut out);
    let read = v4::Packet::read(&mut out, MAX).expect("SUBACK");
    let v4::Packet::SubAck(read) = read else { panic!("{read:?}") };
    assert_eq!(read.return_codes[3], v4::SubscribeReasonCode::Failure);
    assert!(matches!(v4::Packet::read(&mut out, MAX), Ok(v4::Packet::UnsubAck(_))));
    assert!(matches!(v4::Packet::read(&mut out, MAX), Ok(v4::Packet::PubComp(_))));
    assert!(matches!(v4::Packet::read(&mut out, MAX), Ok(v4::Packet::PingResp)));
    let accepted = ConnAck {
        session_present: true,
        session_expiry: Some(60),
        receive_max: 10,
        packet_bytes_max: 1_000,
        topic_alias_max: 3,
        server_keep_alive: Some(30),
        assigned_client_id: Some("auto-1"),
    };
    connack(Version::V5, Reason::SUCCESS, &accepted, &mut out);
    suback(Version::V5, 5, &[0, 0x97], &mut out);
    unsuback(Version::V5, 6, &[0, 0x11], &mut out);
    puback(Version::V5, 7, Reason::QUOTA_EXCEEDED, &mut out);
    disconnect(Version::V5, Reason::SESSION_TAKEN_OVER, &mut out);
    let read = v5::Packet::read(&mut out, None).expect("CONNACK");
    let v5::Packet::ConnAck(read) = read else { panic!("{read:?}") };
    let properties = read.properties.expect("it has properties");
    assert!(read.session_present);
    assert_eq!(properties.assigned_client_identifier.as_deref(), Some("auto-1"));
    assert_eq!(properties.server_keep_alive, Some(30));
    assert_eq!(properties.receive_max, Some(10));
    assert!(matches!(v5::Packet::read(&mut out, None), Ok(v5::Packet::SubAck(_))));
    assert!(matches!(v5::Packet::read(&mut out, None), Ok(v5::Packet::UnsubAck(_))));
    let read = v5::Packet::read(&mut out, None).expect("PUBACK");
    let v5::Packet::PubAck(read) = read else { panic!("{read:?}") };
    assert_eq!(read.reason, v5::PubAckReason::QuotaExceeded);
    let read = v5::Packet::read(&mut out, None).expect("DISCONNECT");
    let v5::Packet::Disconnect(read) = read else { panic!("{read:?}") };
    assert_eq!(read.reason_code, v5::DisconnectReasonCode::SessionTakenOver);
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic_or_take_more_than_there_is(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        first in prop::sample::select(vec![0x10, 0x30, 0x32, 0x35, 0x40, 0x62, 0x82, 0xa2, 0xe0, 0xf0]),
        v5 in any::<bool>(),
        framed in any::<bool>(),
    ) {
        let bytes = if framed { frame(first, &bytes) } else { bytes };
        let mut decoder = decoder(if v5 { Version::V5 } else { Version::V311 });
        let mut at = 0;
        while let Ok(Some((_, size))) = decoder.next(&bytes[at..]) {
            prop_assert!(size > 0);
            at += size;
            prop_assert!(at <= bytes.len());
        }
    }

    #[test]
    fn a_packet_is_not_taken_before_its_last_byte(
        topic in "[a-z/]{1,200}",
        payload in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = BytesMut::new();
        let mut publish = v4::Publish::new(topic, rumqttc::QoS::AtLeastOnce, payload.clone());
        publish.pkid = 1;
        publish.write(&mut bytes).expect("it can be written");
        let mut decoder = decoder(Version::V311);
        prop_assert_eq!(decoder.next(&bytes[..cut.index(bytes.len())]), Ok(None));
        let Ok(Some((Packet::Publish(read), size))) = decoder.next(&bytes) else {
            panic!("a well-formed PUBLISH was not taken");
        };
        prop_assert_eq!(size, bytes.len());
        prop_assert_eq!(&read.payload[..], &payload[..]);
    }
}
