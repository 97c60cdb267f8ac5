//! Sessions: kept, taken over, expired; wills; keep-alive.

use std::time::Duration;

use rumqttc::{QoS, mqttbytes::v4};

use super::{
    harness::{House, eventually},
    peer::{Peer, connect4, publish4},
};

#[tokio::test]
async fn a_kept_session_gets_what_came_while_it_was_away_and_a_clean_one_does_not() {
    let house = House::new().await;
    let (mut subscriber, present) = Peer::kept(house.address(), "subscriber").await;
    assert!(!present);
    subscriber.subscribe("t/#", QoS::AtLeastOnce).await;
    subscriber.send(v4::Packet::Disconnect).await;
    subscriber.expect_close().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    for id in 1..=20 {
        let packet = publish4(&format!("t/{id}"), QoS::AtLeastOnce, id, "x");
        publisher.send_all(vec![packet, publish4("t/0", QoS::AtMostOnce, 0, "x")]).await;
        publisher.expect(v4::Packet::PubAck(v4::PubAck::new(id))).await;
    }
    publisher.expect_nothing().await;
    let (mut subscriber, present) = Peer::kept(house.address(), "subscriber").await;
    assert!(present);
    for id in 1..=20 {
        let message = subscriber.message().await;
        assert_eq!(message.topic, format!("t/{id}"));
        subscriber.send(v4::Packet::PubAck(v4::PubAck::new(message.pkid))).await;
    }
    subscriber.expect_nothing().await;
    drop(subscriber);
    // A clean start ends it, with its subscriptions.
    let mut subscriber = Peer::clean(house.address(), "subscriber").await;
    publisher.send(publish4("t/1", QoS::AtLeastOnce, 1, "x")).await;
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    subscriber.expect_nothing().await;
    drop(subscriber);
    eventually("the clean session ends with its connection", || house.broker.sessions() == 1).await;
    assert!(!Peer::kept(house.address(), "subscriber").await.1);
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_with_dup_on_the_next_connection() {
    let house = House::new().await;
    let (mut subscriber, _) = Peer::kept(house.address(), "subscriber").await;
    subscriber.subscribe("t", QoS::ExactlyOnce).await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    publisher.send(publish4("t", QoS::AtLeastOnce, 1, "one")).await;
    publisher.send(publish4("t", QoS::ExactlyOnce, 2, "two")).await;
    let one = subscriber.message().await;
    let two = subscriber.message().await;
    assert!(!one.dup && !two.dup);
    subscriber.send(v4::Packet::PubRec(v4::PubRec::new(two.pkid))).await;
    subscriber.expect(v4::Packet::PubRel(v4::PubRel::new(two.pkid))).await;
    drop(subscriber);
    let (mut subscriber, _) = Peer::kept(house.address(), "subscriber").await;
    let again = subscriber.message().await;
    assert!(again.dup);
    assert_eq!((again.pkid, &again.payload[..]), (one.pkid, &b"one"[..]));
    subscriber.expect(v4::Packet::PubRel(v4::PubRel::new(two.pkid))).await;
    subscriber.send(v4::Packet::PubComp(v4::PubComp::new(two.pkid))).await;
    subscriber.send(v4::Packet::PubAck(v4::PubAck::new(one.pkid))).await;
    subscriber.expect_nothing().await;
    drop(subscriber);
    let (mut subscriber, _) = Peer::kept(house.address(), "subscriber").await;
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn a_newer_connection_takes_the_session_over_and_the_older_is_closed() {
    let house = House::new().await;
    let (mut older, _) = Peer::kept(house.address(), "client").await;
    older.subscribe("t", QoS::AtLeastOnce).await;
    let (mut newer, present) = Peer::kept(house.address(), "client").await;
    assert!(present);
    older.expect_close().await;
    newer.send(publish4("t", QoS::AtLeastOnce, 1, "x")).await;
    newer.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    assert_eq!(newer.message().await.topic, "t");
    assert_eq!(house.counts().takeovers, 1);
}

#[tokio::test]
async fn many_connections_of_one_client_id_at_once_leave_one_and_a_working_broker() {
    let house = House::new().await;
    let address = house.address();
    let attempts: Vec<_> = (0..30)
        .map(|_| {
            tokio::spawn(async move {
                let mut peer = Peer::open(address).await;
                peer.send(v4::Packet::Connect(connect4("client"))).await;
                peer
            })
        })
        .collect();
    let mut peers = Vec::new();
    for attempt in attempts {
        peers.push(attempt.await.expect("it can connect"));
    }
    eventually("one is left", || house.counts().connections == 1).await;
    assert_eq!(house.broker.sessions(), 1);
    Peer::clean(address, "other").await.expect_nothing().await;
}

fn with_will(client_id: &str) -> v4::Connect {
    let mut connect = connect4(client_id);
    connect.last_will = Some(v4::LastWill::new("wills/x", "gone", QoS::AtLeastOnce, true));
    connect
}

#[tokio::test]
async fn a_will_is_published_when_the_connection_breaks_and_not_after_a_disconnect() {
    let house = House::new().await;
    let mut watcher = Peer::clean(house.address(), "watcher").await;
    watcher.subscribe("wills/#", QoS::AtLeastOnce).await;
    let mut leaving = Peer::open(house.address()).await;
    leaving.hello(&with_will("leaving")).await;
    leaving.send(v4::Packet::Disconnect).await;
    leaving.expect_close().await;
    eventually("it is gone", || house.broker.sessions() == 1).await;
    watcher.expect_nothing().await;
    let mut breaking = Peer::open(house.address()).await;
    breaking.hello(&with_will("breaking")).await;
    drop(breaking);
    let message = watcher.message().await;
    assert_eq!((&*message.topic, &message.payload[..]), ("wills/x", &b"gone"[..]));
    // It went through the entrance under its client's name, and is retained.
    let (source, _) = house.door.submitted.lock().unwrap().last().cloned().expect("a will");
    assert_eq!(&*source.0, "breaking");
    assert_eq!(house.switchboard.retained_messages(), 1);
}

#[tokio::test]
async fn messages_sent_right_before_a_disconnect_are_taken_in() {
    let house = House::new().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    let mut packets: Vec<_> =
        (0..100).map(|number| publish4(&format!("t/{number}"), QoS::AtMostOnce, 0, "")).collect();
    packets.push(v4::Packet::Disconnect);
    publisher.send_all(packets).await;
    publisher.expect_close().await;
    eventually("all are taken in", || house.submitted().len() == 100).await;
}

#[tokio::test]
async fn a_silent_client_is_closed_after_one_and_a_half_keep_alives_and_its_will_published() {
    let house = House::new().await;
    let mut watcher = Peer::clean(house.address(), "watcher").await;
    watcher.subscribe("wills/#", QoS::AtMostOnce).await;
    let mut silent = Peer::open(house.address()).await;
    let mut connect = with_will("silent");
    connect.keep_alive = 1;
    silent.hello(&connect).await;
    let since = std::time::Instant::now();
    silent.expect_close().await;
    assert!(since.elapsed() >= Duration::from_millis(1_400), "{:?}", since.elapsed());
    assert_eq!(watcher.message().await.topic, "wills/x");
    assert_eq!(house.counts().keep_alive_timeouts, 1);
}

#[tokio::test]
async fn a_session_without_a_connection_expires_with_its_subscriptions() {
    let house = House::with(|limits| limits.session_expiry_max = Duration::from_millis(50)).await;
    let (mut subscriber, _) = Peer::kept(house.address(), "subscriber").await;
    subscriber.subscribe("t", QoS::AtLeastOnce).await;
    drop(subscriber);
    eventually("it has expired", || house.broker.sessions() == 0).await;
    eventually("its subscription is gone", || house.switchboard.subscriptions() == 0).await;
    assert!(!Peer::kept(house.address(), "subscriber").await.1);
}

#[tokio::test]
async fn no_more_sessions_are_kept_than_allowed_and_known_ones_still_come_back() {
    let house = House::with(|limits| limits.sessions_max = 2).await;
    let (first, _) = Peer::kept(house.address(), "first").await;
    drop(first);
    let (_second, _) = Peer::kept(house.address(), "second").await;
    let mut third = Peer::open(house.address()).await;
    let refused = (v4::ConnectReturnCode::ServiceUnavailable, false);
    assert_eq!(third.hello(&connect4("third")).await, refused);
    third.expect_close().await;
    assert!(Peer::kept(house.address(), "first").await.1);
}

#[tokio::test]
async fn an_empty_client_id_gets_a_session_of_its_own_each_time() {
    let house = House::new().await;
    let mut first = Peer::clean(house.address(), "").await;
    let mut second = Peer::clean(house.address(), "").await;
    first.expect_nothing().await;
    second.expect_nothing().await;
    assert_eq!(house.broker.sessions(), 2);
}
