//! Quality of service, in both directions.

use rumqttc::{QoS, mqttbytes::v4};

use super::{
    harness::{House, SOON, eventually},
    peer::{Peer, publish4},
};

#[tokio::test]
async fn a_message_of_each_qos_reaches_a_subscriber_of_each_at_the_lower_of_both() {
    let house = House::new().await;
    let levels = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    for granted in levels {
        let mut subscriber = Peer::clean(house.address(), "subscriber").await;
        subscriber.subscribe("t", granted).await;
        let mut publisher = Peer::clean(house.address(), "publisher").await;
        for sent in levels {
            publisher.send(publish4("t", sent, 7, "x")).await;
            match sent {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => publisher.expect(v4::Packet::PubAck(v4::PubAck::new(7))).await,
                QoS::ExactlyOnce => {
                    publisher.expect(v4::Packet::PubRec(v4::PubRec::new(7))).await;
                    publisher.send(v4::Packet::PubRel(v4::PubRel::new(7))).await;
                    publisher.expect(v4::Packet::PubComp(v4::PubComp::new(7))).await;
                }
            }
            let message = subscriber.message().await;
            assert_eq!(message.qos as u8, (sent as u8).min(granted as u8));
            assert_eq!((&*message.topic, &message.payload[..]), ("t", &b"x"[..]));
            assert!(!message.dup && !message.retain);
            take(&mut subscriber, &message).await;
        }
        subscriber.expect_nothing().await;
    }
}

/// Acknowledges a message as its QoS asks.
async fn take(subscriber: &mut Peer, message: &v4::Publish) {
    match message.qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => {
            subscriber.send(v4::Packet::PubAck(v4::PubAck::new(message.pkid))).await;
        }
        QoS::ExactlyOnce => {
            subscriber.send(v4::Packet::PubRec(v4::PubRec::new(message.pkid))).await;
            subscriber.expect(v4::Packet::PubRel(v4::PubRel::new(message.pkid))).await;
            subscriber.send(v4::Packet::PubComp(v4::PubComp::new(message.pkid))).await;
        }
    }
}

#[tokio::test]
async fn no_acknowledgement_leaves_before_the_entrance_has_decided() {
    let house = House::new().await;
    let mut subscriber = Peer::clean(house.address(), "subscriber").await;
    subscriber.subscribe("held/#", QoS::AtMostOnce).await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    publisher.send(publish4("held/a", QoS::AtLeastOnce, 1, "a")).await;
    publisher.send(publish4("held/b", QoS::ExactlyOnce, 2, "b")).await;
    eventually("the first batch is at the door", || !house.door.batches.lock().unwrap().is_empty())
        .await;
    // The connection goes on serving its client meanwhile.
    publisher.expect_nothing().await;
    subscriber.expect_nothing().await;
    house.door.gate.add_permits(2);
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    publisher.expect(v4::Packet::PubRec(v4::PubRec::new(2))).await;
    assert_eq!(subscriber.message().await.topic, "held/a");
    assert_eq!(subscriber.message().await.topic, "held/b");
}

#[tokio::test]
async fn what_was_read_together_goes_through_the_entrance_together_and_in_order() {
    let house = House::new().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    // While the first is held, the others gather.
    publisher.send(publish4("held/0", QoS::AtLeastOnce, 1, "")).await;
    eventually("the first is at the door", || house.door.batches.lock().unwrap().len() == 1).await;
    let packets = (2..=50).map(|id| publish4(&format!("t/{id}"), QoS::AtLeastOnce, id, ""));
    publisher.send_all(packets.collect()).await;
    publisher.expect_nothing().await;
    house.door.gate.add_permits(1);
    for id in 1..=50 {
        publisher.expect(v4::Packet::PubAck(v4::PubAck::new(id))).await;
    }
    assert_eq!(*house.door.batches.lock().unwrap(), [1, 49]);
    let expected: Vec<String> =
        std::iter::once("held/0".to_owned()).chain((2..=50).map(|id| format!("t/{id}"))).collect();
    assert_eq!(house.submitted(), expected);
}

#[tokio::test]
async fn a_qos_2_message_sent_again_is_taken_in_once() {
    let house = House::new().await;
    let (mut publisher, _) = Peer::kept(house.address(), "publisher").await;
    publisher.send(publish4("t", QoS::ExactlyOnce, 5, "x")).await;
    publisher.expect(v4::Packet::PubRec(v4::PubRec::new(5))).await;
    drop(publisher);
    // The PUBREC was lost, say: the client comes back and sends it again.
    let (mut publisher, present) = Peer::kept(house.address(), "publisher").await;
    assert!(present);
    publisher.send(publish4("t", QoS::ExactlyOnce, 5, "x")).await;
    publisher.expect(v4::Packet::PubRec(v4::PubRec::new(5))).await;
    publisher.send(v4::Packet::PubRel(v4::PubRel::new(5))).await;
    publisher.expect(v4::Packet::PubComp(v4::PubComp::new(5))).await;
    assert_eq!(house.submitted(), ["t"]);
    // Released, the id is a new message's.
    publisher.send(publish4("u", QoS::ExactlyOnce, 5, "y")).await;
    publisher.expect(v4::Packet::PubRec(v4::PubRec::new(5))).await;
    assert_eq!(house.submitted(), ["t", "u"]);
}

#[tokio::test]
async fn a_qos_2_message_sent_again_while_it_is_at_the_door_gets_one_answer() {
    let house = House::new().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    for _ in 0..3 {
        publisher.send(publish4("held/t", QoS::ExactlyOnce, 5, "x")).await;
    }
    publisher.expect_nothing().await;
    house.door.gate.add_permits(3);
    publisher.expect(v4::Packet::PubRec(v4::PubRec::new(5))).await;
    publisher.expect_nothing().await;
    assert_eq!(house.submitted(), ["held/t"]);
    assert_eq!(house.counts().received_again, 2);
}

#[tokio::test]
async fn a_qos_2_message_still_at_the_door_when_its_client_comes_back_is_taken_in_once() {
    let house = House::new().await;
    let (mut publisher, _) = Peer::kept(house.address(), "publisher").await;
    publisher.send(publish4("held/t", QoS::ExactlyOnce, 5, "x")).await;
    eventually("it is at the door", || house.door.batches.lock().unwrap().len() == 1).await;
    drop(publisher);
    let returning = tokio::spawn(Peer::kept(house.address(), "publisher"));
    house.door.gate.add_permits(1);
    let (mut publisher, present) = returning.await.expect("it is let in");
    assert!(present);
    publisher.send(publish4("held/t", QoS::ExactlyOnce, 5, "x")).await;
    publisher.expect(v4::Packet::PubRec(v4::PubRec::new(5))).await;
    assert_eq!(house.submitted(), ["held/t"]);
}

#[tokio::test]
async fn a_refused_message_is_not_acknowledged_in_v311_and_closes_its_connection() {
    let house = House::new().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    let packets = vec![
        publish4("good", QoS::AtLeastOnce, 1, ""),
        publish4("refused/a", QoS::AtMostOnce, 0, ""),
        publish4("refused/b", QoS::AtLeastOnce, 2, ""),
        publish4("good", QoS::AtLeastOnce, 3, ""),
    ];
    publisher.send_all(packets).await;
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    // What was taken in beside it is acknowledged, or the client would send it again.
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(3))).await;
    publisher.expect_close().await;
    assert_eq!(house.counts().refused_messages, 2);
}

#[tokio::test]
async fn a_refused_qos_0_message_is_dropped_and_the_connection_stays() {
    let house = House::new().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    publisher.send(publish4("refused/a", QoS::AtMostOnce, 0, "")).await;
    eventually("it is counted", || house.counts().refused_messages == 1).await;
    publisher.expect_nothing().await;
}

#[tokio::test]
async fn clients_may_not_publish_the_brokers_own_topics() {
    let house = House::new().await;
    for topic in ["$SYS", "$SYS/broker"] {
        let mut publisher = Peer::clean(house.address(), "publisher").await;
        publisher.send(publish4(topic, QoS::AtLeastOnce, 1, "")).await;
        publisher.expect_close().await;
    }
    assert!(house.submitted().is_empty());
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    publisher.send(publish4("$aws/things/a/shadow/update", QoS::AtLeastOnce, 1, "")).await;
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
}

#[tokio::test]
async fn subscriptions_that_overlap_deliver_once_at_the_highest_qos() {
    let house = House::new().await;
    let mut subscriber = Peer::clean(house.address(), "subscriber").await;
    subscriber.subscribe("a/#", QoS::AtMostOnce).await;
    subscriber.subscribe("a/+", QoS::AtLeastOnce).await;
    subscriber.subscribe("a/b", QoS::AtMostOnce).await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    publisher.send(publish4("a/b", QoS::AtLeastOnce, 1, "x")).await;
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    assert_eq!(subscriber.message().await.qos, QoS::AtLeastOnce);
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn the_library_client_exchanges_many_messages_of_each_qos_without_loss_or_reordering() {
    const COUNT: usize = 300;
    let house = House::new().await;
    let address = house.address();
    let options = |client_id: &str| {
        let host = address.ip().to_string();
        let mut options = rumqttc::MqttOptions::new(client_id, host, address.port());
        options.set_inflight(50);
        options
    };
    let (subscriber, mut received) = rumqttc::AsyncClient::new(options("subscriber"), 10);
    subscriber.subscribe("count/#", QoS::ExactlyOnce).await.expect("it is queued");
    let (publisher, mut published) = rumqttc::AsyncClient::new(options("publisher"), 10);
    let publishing = tokio::spawn(async move { while published.poll().await.is_ok() {} });
    let receiving = async {
        let mut counts = [0; 3];
        while counts.iter().sum::<usize>() < 3 * COUNT {
            match received.poll().await.expect("the connection stays") {
                rumqttc::Event::Incoming(rumqttc::Packet::SubAck(_)) => {
                    let publisher = publisher.clone();
                    tokio::spawn(async move {
                        for number in 0..COUNT {
                            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                                let topic = format!("count/{}", qos as u8);
                                let payload = number.to_string();
                                let sent = publisher.publish(topic, qos, false, payload).await;
                                sent.expect("the client lives");
                            }
                        }
                    });
                }
                rumqttc::Event::Incoming(rumqttc::Packet::Publish(message)) => {
                    let expected = &mut counts[message.qos as usize];
                    assert_eq!(message.payload, expected.to_string());
                    *expected += 1;
                }
                _ => {}
            }
        }
        counts
    };
    let counts = tokio::time::timeout(SOON, receiving).await.expect("all come in time");
    assert_eq!(counts, [COUNT; 3]);
    publishing.abort();
}
