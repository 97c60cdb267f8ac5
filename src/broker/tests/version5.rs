//! What only MQTT 5 knows.

use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::{QoS, v5};

use super::{
    harness::{House, eventually},
    peer::Peer,
};

/// A little more than the shortest life of a message.
const LIFE: Duration = Duration::from_millis(1_050);

fn publish(topic: &str, qos: QoS, id: u16, payload: &str) -> v5::Publish {
    let mut publish = v5::Publish::new(topic, qos, payload.to_owned(), None);
    publish.pkid = id;
    publish
}

async fn client(house: &House, client_id: &str) -> Peer {
    let mut peer = Peer::open(house.address()).await;
    let ack = peer.hello5(client_id, true, |_, _| {}).await;
    assert_eq!(ack.code, v5::ConnectReturnCode::Success);
    peer
}

async fn puback(peer: &mut Peer) -> v5::PubAckReason {
    match peer.next5().await {
        Some(v5::Packet::PubAck(ack)) => ack.reason,
        other => panic!("a PUBACK was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn a_refused_message_is_answered_with_its_reason_and_the_connection_stays() {
    let house = House::new().await;
    let mut peer = client(&house, "peer").await;
    for (topic, expected) in [
        ("refused/a", v5::PubAckReason::QuotaExceeded),
        ("huge/a", v5::PubAckReason::UnspecifiedError),
        ("$SYS/a", v5::PubAckReason::TopicNameInvalid),
        ("good", v5::PubAckReason::Success),
    ] {
        peer.send5(v5::Packet::Publish(publish(topic, QoS::AtLeastOnce, 1, "x"))).await;
        assert_eq!(puback(&mut peer).await, expected, "{topic}");
    }
    peer.send5(v5::Packet::Publish(publish("refused/b", QoS::ExactlyOnce, 2, "x"))).await;
    let Some(v5::Packet::PubRec(answer)) = peer.next5().await else { panic!("no PUBREC") };
    assert_eq!(answer.reason, v5::PubRecReason::QuotaExceeded);
}

#[tokio::test]
async fn properties_travel_from_publisher_to_subscriber_with_the_subscriptions_identifiers() {
    let house = House::new().await;
    let mut subscriber = client(&house, "subscriber").await;
    subscriber.subscribe5(v5::Filter::new("t/#", QoS::AtMostOnce), Some(7)).await;
    subscriber.subscribe5(v5::Filter::new("t/+", QoS::AtMostOnce), Some(70_000)).await;
    let mut publisher = client(&house, "publisher").await;
    let mut message = publish("t/a", QoS::AtMostOnce, 0, "x");
    message.properties = Some(v5::PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(100),
        topic_alias: None,
        response_topic: Some("answers".to_owned()),
        correlation_data: Some("c".into()),
        user_properties: vec![("k".to_owned(), "v".to_owned())],
        subscription_identifiers: vec![],
        content_type: Some("text/plain".to_owned()),
    });
    publisher.send5(v5::Packet::Publish(message)).await;
    let properties = subscriber.message5().await.properties.expect("it has properties");
    assert_eq!(properties.user_properties, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(properties.response_topic.as_deref(), Some("answers"));
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
    assert!(properties.message_expiry_interval.is_some_and(|left| (95..=100).contains(&left)));
    let mut identifiers = properties.subscription_identifiers;
    identifiers.sort_unstable();
    assert_eq!(identifiers, [7, 70_000]);
}

#[tokio::test]
async fn no_local_retain_as_published_and_retain_handling_do_as_they_say() {
    let house = House::new().await;
    let mut peer = client(&house, "peer").await;
    let mut filter = v5::Filter::new("t", QoS::AtMostOnce);
    filter.nolocal = true;
    peer.subscribe5(filter, None).await;
    let mut message = publish("t", QoS::AtLeastOnce, 1, "own");
    message.retain = true;
    peer.send5(v5::Packet::Publish(message.clone())).await;
    puback(&mut peer).await;
    peer.expect_nothing5().await;
    let mut other = client(&house, "other").await;
    let mut filter = v5::Filter::new("t", QoS::AtMostOnce);
    filter.retain_forward_rule = v5::RetainForwardRule::Never;
    filter.preserve_retain = true;
    other.subscribe5(filter.clone(), None).await;
    other.expect_nothing5().await;
    filter.retain_forward_rule = v5::RetainForwardRule::OnNewSubscribe;
    other.subscribe5(filter.clone(), None).await;
    other.expect_nothing5().await;
    filter.retain_forward_rule = v5::RetainForwardRule::OnEverySubscribe;
    other.subscribe5(filter, None).await;
    assert!(other.message5().await.retain);
    peer.send5(v5::Packet::Publish(message)).await;
    assert!(other.message5().await.retain, "retain as published");
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_member_in_turn() {
    let house = House::new().await;
    let mut members = [client(&house, "one").await, client(&house, "other").await];
    for member in &mut members {
        member.subscribe5(v5::Filter::new("$share/g/t", QoS::AtLeastOnce), None).await;
    }
    let mut publisher = client(&house, "publisher").await;
    for id in 1..=10 {
        publisher.send5(v5::Packet::Publish(publish("t", QoS::AtLeastOnce, id, "x"))).await;
        puback(&mut publisher).await;
    }
    for member in &mut members {
        for _ in 0..5 {
            member.message5().await;
        }
        member.expect_nothing5().await;
    }
}

#[tokio::test]
async fn a_topic_alias_stands_for_its_topic_and_an_unknown_one_ends_the_connection() {
    let house = House::new().await;
    let mut peer = client(&house, "peer").await;
    let with_alias = |topic: &str, alias| {
        let mut message = publish(topic, QoS::AtMostOnce, 0, "x");
        let properties = v5::PublishProperties { topic_alias: Some(alias), ..Default::default() };
        message.properties = Some(properties);
        v5::Packet::Publish(message)
    };
    for (topic, alias) in [("a", 1), ("b", 2), ("", 1), ("c", 1), ("", 1), ("", 2)] {
        peer.send5(with_alias(topic, alias)).await;
    }
    eventually("all are there", || house.submitted() == ["a", "b", "a", "c", "c", "b"]).await;
    for alias in [0, 9, 1_000] {
        let mut peer = client(&house, "other").await;
        peer.send5(with_alias("", alias)).await;
        assert!(matches!(peer.next5().await, Some(v5::Packet::Disconnect(_))), "{alias}");
        assert!(peer.next5().await.is_none());
    }
}

#[tokio::test]
async fn receive_maximum_is_kept_by_the_broker_and_asked_of_the_client() {
    let house = House::with(|limits| limits.inflight_max = 10).await;
    let mut subscriber = Peer::open(house.address()).await;
    let ack = subscriber
        .hello5("subscriber", true, |properties, _| properties.receive_maximum = Some(2))
        .await;
    assert_eq!(ack.properties.expect("it has properties").receive_max, Some(10));
    subscriber.subscribe5(v5::Filter::new("t", QoS::AtLeastOnce), None).await;
    let mut publisher = client(&house, "publisher").await;
    for id in 1..=5 {
        publisher.send5(v5::Packet::Publish(publish("t", QoS::AtLeastOnce, id, "x"))).await;
        puback(&mut publisher).await;
    }
    let first = subscriber.message5().await;
    subscriber.message5().await;
    subscriber.expect_nothing5().await;
    subscriber.send5(v5::Packet::PubAck(v5::PubAck::new(first.pkid, None))).await;
    subscriber.message5().await;
    subscriber.expect_nothing5().await;
    for id in 1..=11 {
        publisher.send5(v5::Packet::Publish(publish("held/t", QoS::AtLeastOnce, id, "x"))).await;
    }
    eventually("it is found out", || house.counts().protocol_errors == 1).await;
    house.door.gate.add_permits(11);
    let mut last = None;
    while let Some(packet) = publisher.next5().await {
        last = Some(packet);
    }
    let Some(v5::Packet::Disconnect(reason)) = last else { panic!("{last:?}") };
    assert_eq!(reason.reason_code, v5::DisconnectReasonCode::ReceiveMaximumExceeded);
}

#[tokio::test]
async fn a_packet_larger_than_the_client_takes_is_not_sent_to_it() {
    let house = House::new().await;
    let mut subscriber = Peer::open(house.address()).await;
    subscriber
        .hello5("subscriber", true, |properties, _| properties.max_packet_size = Some(50))
        .await;
    subscriber.subscribe5(v5::Filter::new("t", QoS::AtLeastOnce), None).await;
    let mut publisher = client(&house, "publisher").await;
    for payload in ["x".repeat(100), "small".to_owned()] {
        publisher.send5(v5::Packet::Publish(publish("t", QoS::AtLeastOnce, 1, &payload))).await;
        puback(&mut publisher).await;
    }
    assert_eq!(&subscriber.message5().await.payload[..], b"small");
    assert_eq!(house.counts().dropped_too_large, 1);
}

#[tokio::test]
async fn a_session_lives_as_long_as_asked_and_a_message_no_longer_than_it_may() {
    let house = House::new().await;
    let mut peer = Peer::open(house.address()).await;
    peer.hello5("peer", true, |properties, _| properties.session_expiry_interval = Some(100)).await;
    peer.subscribe5(v5::Filter::new("t", QoS::AtLeastOnce), None).await;
    peer.send5(v5::Packet::Disconnect(v5::Disconnect::new(
        v5::DisconnectReasonCode::NormalDisconnection,
    )))
    .await;
    assert!(peer.next5().await.is_none());
    let mut publisher = client(&house, "publisher").await;
    let mut brief = publish("t", QoS::AtLeastOnce, 1, "brief");
    let properties =
        v5::PublishProperties { message_expiry_interval: Some(1), ..Default::default() };
    brief.properties = Some(properties);
    publisher.send5(v5::Packet::Publish(brief)).await;
    puback(&mut publisher).await;
    publisher.send5(v5::Packet::Publish(publish("t", QoS::AtLeastOnce, 2, "lasting"))).await;
    puback(&mut publisher).await;
    let since = Instant::now();
    eventually("the brief message's second is over", || since.elapsed() > LIFE).await;
    let mut peer = Peer::open(house.address()).await;
    let ack = peer.hello5("peer", false, |_, _| {}).await;
    assert!(ack.session_present);
    assert_eq!(&peer.message5().await.payload[..], b"lasting");
    assert_eq!(house.counts().dropped_expired, 1);
    // This connection asked for no expiry: the session ends with it.
    drop(peer);
    let mut peer = Peer::open(house.address()).await;
    eventually("it has ended", || house.broker.sessions() == 1).await;
    assert!(!peer.hello5("peer", false, |_, _| {}).await.session_present);
}

#[tokio::test]
async fn a_delayed_will_is_not_sent_if_its_client_is_back_in_time_and_is_sent_if_not() {
    let house = House::new().await;
    let mut watcher = client(&house, "watcher").await;
    watcher.subscribe5(v5::Filter::new("wills", QoS::AtMostOnce), None).await;
    let hello = |delay| {
        move |properties: &mut v5::ConnectProperties, will: &mut Option<v5::LastWill>| {
            properties.session_expiry_interval = Some(100);
            let mut last = v5::LastWill::new("wills", "gone", QoS::AtMostOnce, false, None);
            last.properties = Some(v5::LastWillProperties {
                delay_interval: Some(delay),
                payload_format_indicator: None,
                message_expiry_interval: None,
                content_type: None,
                response_topic: None,
                correlation_data: None,
                user_properties: vec![],
            });
            *will = Some(last);
        }
    };
    let mut peer = Peer::open(house.address()).await;
    peer.hello5("peer", true, hello(1)).await;
    drop(peer);
    let mut peer = Peer::open(house.address()).await;
    let back = peer.hello5("peer", false, |properties, _| {
        properties.session_expiry_interval = Some(100);
    });
    assert!(back.await.session_present);
    let since = Instant::now();
    // The delay, and the sweep that would notice its end.
    eventually("the will would be due", || since.elapsed() > 2 * LIFE).await;
    watcher.expect_nothing5().await;
    drop(peer);
    let mut peer = Peer::open(house.address()).await;
    assert!(peer.hello5("peer", false, hello(1)).await.session_present);
    drop(peer);
    assert_eq!(&watcher.message5().await.payload[..], b"gone");
    watcher.expect_nothing5().await;
    assert_eq!(house.counts().wills, 1);
}

#[tokio::test]
async fn takeover_silence_and_shutdown_are_told_with_their_reasons() {
    let house = House::new().await;
    let reason = |packet| match packet {
        Some(v5::Packet::Disconnect(disconnect)) => disconnect.reason_code,
        other => panic!("a DISCONNECT was expected, not {other:?}"),
    };
    let mut older = client(&house, "peer").await;
    let mut newer = client(&house, "peer").await;
    assert_eq!(reason(older.next5().await), v5::DisconnectReasonCode::SessionTakenOver);
    assert!(older.next5().await.is_none());
    newer.expect_nothing5().await;
    house.shutdown.cancel();
    assert_eq!(reason(newer.next5().await), v5::DisconnectReasonCode::ServerShuttingDown);
    assert!(newer.next5().await.is_none());
}

#[tokio::test]
async fn an_empty_client_id_is_told_the_one_it_got() {
    let house = House::new().await;
    let mut peer = Peer::open(house.address()).await;
    let ack = peer.hello5("", true, |_, _| {}).await;
    let assigned = ack.properties.and_then(|properties| properties.assigned_client_identifier);
    assert!(assigned.is_some_and(|client_id| client_id.starts_with("auto-")));
}
