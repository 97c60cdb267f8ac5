//! Retained messages.

use std::collections::BTreeSet;

use rumqttc::{QoS, mqttbytes::v4};

use super::{
    harness::{House, eventually},
    peer::{Peer, publish4},
};

fn retained(topic: &str, payload: &str) -> v4::Packet {
    let v4::Packet::Publish(mut publish) = publish4(topic, QoS::AtLeastOnce, 1, payload) else {
        unreachable!("it is a PUBLISH")
    };
    publish.retain = true;
    v4::Packet::Publish(publish)
}

async fn retain(publisher: &mut Peer, topic: &str, payload: &str) {
    publisher.send(retained(topic, payload)).await;
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    // Its delivery is over when the next message is acknowledged.
    publisher.send(publish4("barrier", QoS::AtLeastOnce, 1, "")).await;
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
}

#[tokio::test]
async fn a_new_subscriber_gets_the_last_retained_message_of_each_topic_and_later_ones_live() {
    let house = House::new().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    retain(&mut publisher, "t/a", "old").await;
    retain(&mut publisher, "t/a", "new").await;
    retain(&mut publisher, "t/b", "b").await;
    retain(&mut publisher, "t/b", "").await;
    retain(&mut publisher, "other", "c").await;
    let mut subscriber = Peer::clean(house.address(), "subscriber").await;
    subscriber.subscribe("t/#", QoS::AtMostOnce).await;
    let message = subscriber.message().await;
    assert_eq!((&*message.topic, &message.payload[..]), ("t/a", &b"new"[..]));
    assert!(message.retain);
    subscriber.expect_nothing().await;
    retain(&mut publisher, "t/a", "live").await;
    let message = subscriber.message().await;
    assert!(!message.retain, "a message that arrives while subscribed is not marked");
}

#[tokio::test]
async fn more_retained_messages_than_an_outbox_holds_all_come_to_a_new_subscriber() {
    const COUNT: usize = 500;
    let house = House::with(|limits| limits.outbox_messages_max = 20).await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    for number in 0..COUNT {
        retain(&mut publisher, &format!("t/{number}"), "x").await;
    }
    let mut subscriber = Peer::clean(house.address(), "subscriber").await;
    subscriber.subscribe("+/+", QoS::AtLeastOnce).await;
    let mut topics = BTreeSet::new();
    for _ in 0..COUNT {
        let message = subscriber.message().await;
        subscriber.send(v4::Packet::PubAck(v4::PubAck::new(message.pkid))).await;
        topics.insert(message.topic);
    }
    assert_eq!(topics.len(), COUNT);
    subscriber.expect_nothing().await;
    assert_eq!(house.counts().dropped_full, 0);
}

#[tokio::test]
async fn no_more_is_retained_than_allowed_and_the_rest_is_delivered_all_the_same() {
    let house = House::with(|limits| {
        limits.retained_messages_max = 2;
        limits.retained_bytes_max = 100;
    })
    .await;
    let mut subscriber = Peer::clean(house.address(), "subscriber").await;
    subscriber.subscribe("t/#", QoS::AtMostOnce).await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    retain(&mut publisher, "t/a", "x").await;
    retain(&mut publisher, "t/b", &"x".repeat(200)).await;
    retain(&mut publisher, "t/c", "x").await;
    retain(&mut publisher, "t/d", "x").await;
    for topic in ["t/a", "t/b", "t/c", "t/d"] {
        assert_eq!(subscriber.message().await.topic, topic);
    }
    assert_eq!(house.switchboard.retained_messages(), 2);
    assert_eq!(house.counts().retained_refused, 2);
    retain(&mut publisher, "t/a", "").await;
    retain(&mut publisher, "t/d", "x").await;
    assert_eq!(house.switchboard.retained_messages(), 2);
}

#[tokio::test]
async fn the_gateways_own_messages_reach_devices_and_devices_messages_its_own_subscribers() {
    let house = House::new().await;
    let mut own = house.switchboard.subscribe_local("test", &["up/#"]).expect("a good filter");
    let mut device = Peer::clean(house.address(), "device").await;
    device.subscribe("down/#", QoS::AtLeastOnce).await;
    let message = crate::broker::Message {
        topic: "down/x".into(),
        payload: "go".into(),
        qos: crate::broker::QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        properties: None,
    };
    assert_eq!(house.switchboard.publish(message).await, 1);
    let received = device.message().await;
    assert_eq!((&*received.topic, received.qos), ("down/x", QoS::AtLeastOnce));
    device.send(publish4("up/y", QoS::AtMostOnce, 0, "done")).await;
    let received = own.next().await;
    assert_eq!((&*received.topic, &received.payload[..]), ("up/y", &b"done"[..]));
    assert!(house.switchboard.subscribe_local("test", &["a#"]).is_err());
    drop(own);
    drop(device);
    eventually("nobody is subscribed", || house.switchboard.subscriptions() == 0).await;
}
