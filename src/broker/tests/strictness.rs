//! What breaks the protocol closes its own connection, and nothing else.

use rumqttc::mqttbytes::v4;

use super::{
    harness::{House, eventually},
    peer::{Peer, connect4},
};

#[tokio::test]
async fn a_malformed_packet_closes_its_own_connection_and_no_other() {
    let house = House::new().await;
    let mut bystander = Peer::clean(house.address(), "bystander").await;
    let malformed: [&[u8]; 12] = [
        // QoS 3; wildcard; no UTF-8; packet id 0; reserved flags of SUBSCRIBE.
        &[0x36, 5, 0, 1, b'a', 0, 1],
        &[0x30, 3, 0, 1, b'#'],
        &[0x30, 5, 0, 3, 0xff, 0xfe, 0xfd],
        &[0x32, 5, 0, 1, b'a', 0, 0],
        &[0x80, 6, 0, 1, 0, 1, b'a', 0],
        // A malformed filter; an empty SUBSCRIBE; trailing bytes.
        &[0x82, 7, 0, 1, 0, 2, b'a', b'#', 0],
        &[0x82, 2, 0, 1],
        &[0xc0, 1, 0],
        // A length of five bytes; a packet only servers send; a second CONNECT; a huge packet.
        &[0xc0, 0xff, 0xff, 0xff, 0xff, 1],
        &[0x20, 2, 0, 0],
        &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, b'x'],
        &[0x30, 0xff, 0xff, 0xff, 0x7f],
    ];
    for bytes in malformed {
        let mut peer = Peer::clean(house.address(), "peer").await;
        peer.raw(bytes).await;
        peer.expect_close().await;
        bystander.expect_nothing().await;
    }
    let broken = malformed.len() as u64;
    eventually("all are counted", || house.counts().protocol_errors == broken).await;
}

#[tokio::test]
async fn a_first_packet_that_is_no_connect_closes_the_connection_at_once() {
    let house = House::new().await;
    let first: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 2, 0],
        &[0xc0, 0],
        &[0x30, 3, 0, 1, b'a'],
        &[0x10, 13, 0, 4, b'H', b'T', b'T', b'P', 4, 2, 0, 0, 0, 1, b'x'],
    ];
    for bytes in first {
        let mut peer = Peer::open(house.address()).await;
        peer.raw(bytes).await;
        peer.expect_close().await;
    }
    assert_eq!(house.counts().refused_malformed, 5);
}

#[tokio::test]
async fn an_unsupported_version_and_a_useless_client_id_are_answered_before_the_close() {
    let house = House::new().await;
    let mut old = Peer::open(house.address()).await;
    old.raw(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 3, 2, 0, 0, 0, 1, b'x']).await;
    let refused = v4::ConnectReturnCode::RefusedProtocolVersion;
    assert_eq!(answer(&mut old).await, refused);
    let mut nameless = Peer::open(house.address()).await;
    nameless.raw(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 0]).await;
    assert_eq!(answer(&mut nameless).await, v4::ConnectReturnCode::BadClientId);
    for name in ["gateway", "modbus:meter", "a\nb"] {
        let mut reserved = Peer::open(house.address()).await;
        let expected = (v4::ConnectReturnCode::BadClientId, false);
        assert_eq!(reserved.hello(&connect4(name)).await, expected);
        reserved.expect_close().await;
    }
}

async fn answer(peer: &mut Peer) -> v4::ConnectReturnCode {
    let Some(v4::Packet::ConnAck(ack)) = peer.next().await else { panic!("no CONNACK") };
    peer.expect_close().await;
    ack.code
}

#[tokio::test]
async fn a_connect_that_comes_byte_by_byte_with_packets_behind_it_is_served() {
    let house = House::new().await;
    let mut peer = Peer::open(house.address()).await;
    let mut bytes = bytes::BytesMut::new();
    connect4("slow").write(&mut bytes).expect("it can be written");
    bytes.extend_from_slice(&[0xc0, 0, 0x30, 4, 0, 1, b't', b'x', 0xc0, 0]);
    for byte in bytes {
        peer.raw(&[byte]).await;
    }
    assert!(matches!(peer.next().await, Some(v4::Packet::ConnAck(_))));
    peer.expect(v4::Packet::PingResp).await;
    peer.expect(v4::Packet::PingResp).await;
    eventually("the message is taken in", || house.submitted() == ["t"]).await;
}

#[tokio::test]
async fn no_more_subscriptions_are_taken_than_allowed() {
    let house = House::with(|limits| limits.subscriptions_max = 2).await;
    let mut peer = Peer::clean(house.address(), "peer").await;
    peer.subscribe("a", rumqttc::QoS::AtMostOnce).await;
    peer.subscribe("b", rumqttc::QoS::AtMostOnce).await;
    let mut subscribe = v4::Subscribe::new("c", rumqttc::QoS::AtMostOnce);
    subscribe.pkid = 9;
    peer.send(v4::Packet::Subscribe(subscribe)).await;
    let refused = vec![v4::SubscribeReasonCode::Failure];
    peer.expect(v4::Packet::SubAck(v4::SubAck::new(9, refused))).await;
    // One that exists can be changed, and one given up makes room.
    peer.subscribe("a", rumqttc::QoS::AtLeastOnce).await;
    let mut unsubscribe = v4::Unsubscribe::new("b");
    unsubscribe.pkid = 10;
    peer.send(v4::Packet::Unsubscribe(unsubscribe)).await;
    peer.expect(v4::Packet::UnsubAck(v4::UnsubAck::new(10))).await;
    peer.subscribe("c", rumqttc::QoS::AtMostOnce).await;
    assert_eq!(house.switchboard.subscriptions(), 2);
}
