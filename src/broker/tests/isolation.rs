//! One client that does not keep up, and the others.

use std::time::{Duration, Instant};

use rumqttc::{QoS, mqttbytes::v4};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    super::connection::{Identity, open},
    harness::{House, SOON, eventually},
    peer::{Peer, connect4, publish4},
};

async fn publish(publisher: &mut Peer, count: u16) {
    for id in 1..=count {
        publisher.send(publish4("t", QoS::AtLeastOnce, id, "x")).await;
        publisher.expect(v4::Packet::PubAck(v4::PubAck::new(id))).await;
    }
}

#[tokio::test]
async fn a_subscriber_that_acknowledges_nothing_holds_others_up_once_and_then_no_more() {
    let house = House::with(|limits| {
        limits.inflight_max = 5;
        limits.outbox_messages_max = 10;
    })
    .await;
    let mut stuck = Peer::clean(house.address(), "stuck").await;
    stuck.subscribe("t", QoS::AtLeastOnce).await;
    let mut prompt = Peer::clean(house.address(), "prompt").await;
    prompt.subscribe("t", QoS::AtMostOnce).await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    // Five in flight and ten in the outbox; the sixteenth waits, with patience but not for ever.
    let since = Instant::now();
    publish(&mut publisher, 40).await;
    for _ in 0..40 {
        prompt.message().await;
    }
    let first = since.elapsed();
    assert!(first >= Duration::from_secs(4), "publishers have patience: {first:?}");
    assert!(first < Duration::from_secs(9), "but only once: {first:?}");
    let since = Instant::now();
    publish(&mut publisher, 40).await;
    for _ in 0..40 {
        prompt.message().await;
    }
    assert!(since.elapsed() < Duration::from_secs(2), "then it is dropped at once");
    eventually("what it missed is counted", || house.counts().dropped_slow == 80 - 15).await;
    // It gets what it was owed when it comes round, and then new messages again.
    for _ in 0..15 {
        let message = stuck.message().await;
        stuck.send(v4::Packet::PubAck(v4::PubAck::new(message.pkid))).await;
    }
    stuck.expect_nothing().await;
    publish(&mut publisher, 1).await;
    stuck.message().await;
}

#[tokio::test]
async fn a_subscriber_that_reads_nothing_at_qos_0_holds_nobody_up() {
    let house = House::with(|limits| limits.outbox_messages_max = 10).await;
    let mut stuck = Peer::clean(house.address(), "stuck").await;
    stuck.subscribe("t", QoS::AtMostOnce).await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    let since = Instant::now();
    let payload = "x".repeat(60_000);
    let mut sent = 0_u64;
    // Until the sockets' buffers and the outbox are full.
    while house.counts().dropped_full < 20 {
        publisher.send(publish4("t", QoS::AtLeastOnce, 1, &payload)).await;
        publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
        sent += 1;
        assert!(since.elapsed() < Duration::from_secs(8), "{sent} sent, none dropped");
    }
}

#[tokio::test]
async fn an_outbox_of_a_client_that_is_away_is_bounded_and_its_oldest_messages_are_kept() {
    let house = House::with(|limits| limits.outbox_messages_max = 10).await;
    let (mut away, _) = Peer::kept(house.address(), "away").await;
    away.subscribe("t", QoS::AtLeastOnce).await;
    away.send(v4::Packet::Disconnect).await;
    away.expect_close().await;
    let mut publisher = Peer::clean(house.address(), "publisher").await;
    for id in 1..=25 {
        publisher.send(publish4("t", QoS::AtLeastOnce, id, &id.to_string())).await;
        publisher.expect(v4::Packet::PubAck(v4::PubAck::new(id))).await;
    }
    eventually("the others are counted", || house.counts().dropped_full == 15).await;
    let (mut back, _) = Peer::kept(house.address(), "away").await;
    for id in 1..=10 {
        assert_eq!(back.message().await.payload, id.to_string());
    }
    back.expect_nothing().await;
}

#[tokio::test]
async fn two_clients_that_publish_to_each_other_without_reading_do_not_lock_the_broker() {
    let house = House::with(|limits| {
        limits.inflight_max = 2;
        limits.outbox_messages_max = 4;
    })
    .await;
    let mut one = Peer::clean(house.address(), "one").await;
    let mut other = Peer::clean(house.address(), "other").await;
    one.subscribe("to-one", QoS::AtLeastOnce).await;
    other.subscribe("to-other", QoS::AtLeastOnce).await;
    let burst =
        |topic: &str| (1..=200).map(|id| publish4(topic, QoS::AtLeastOnce, id, "x")).collect();
    one.send_all(burst("to-other")).await;
    other.send_all(burst("to-one")).await;
    // Both owe each other acknowledgements that they send only now.
    for peer in [&mut one, &mut other] {
        let mut acknowledged = 0;
        while acknowledged < 200 {
            match peer.next().await {
                Some(v4::Packet::PubAck(_)) => acknowledged += 1,
                Some(v4::Packet::Publish(_)) => {}
                unexpected => panic!("{unexpected:?}"),
            }
        }
    }
    one.expect_pong().await;
    other.expect_pong().await;
}

#[tokio::test]
async fn packets_that_were_read_while_answers_could_not_be_written_are_answered_later() {
    // Odd, so that the pause falls into the middle of what was read at once; and the pings end
    // shortly before or behind it, so that nothing else wakes the reader.
    const PIPE_BYTES: usize = 1_001;
    let house = House::new().await;
    for pings in (131_300..132_000).step_by(29) {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let deadline = tokio::time::Instant::now() + SOON;
        let hub = house.broker.hub().clone();
        tokio::spawn(async move {
            let driver = open(server, hub, Identity::Anonymous, deadline).await;
            driver.expect("the CONNECT is good").run().await;
        });
        let mut peer = Peer::over(client);
        peer.hello(&connect4("client")).await;
        // More than the broker holds for a client that reads nothing; the pipe takes the rest.
        let bytes = [0xc0, 0].repeat(pings);
        let written = tokio::time::timeout(SOON, peer.stream.write_all(&bytes)).await;
        written.expect("in time").expect("the broker reads");
        let mut answers = vec![0; bytes.len()];
        let read = tokio::time::timeout(SOON, peer.stream.read_exact(&mut answers)).await;
        read.expect("every ping is answered").expect("the broker stays");
        assert_eq!(answers, [0xd0, 0].repeat(pings));
    }
}
