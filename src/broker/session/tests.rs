use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::BytesMut;
use proptest::prelude::*;
use rumqttc::mqttbytes::v4;
use tokio::time::Instant;

use super::{outbound::PATIENCE, *};
use crate::broker::{
    Message, Properties, QoS,
    codec::{Reason, Version},
};

const BOUNDS: Bounds = Bounds { messages_max: 10, bytes_max: 1_000 };
const LINK: Link = Link { version: Version::V311, receive_max: 3, packet_bytes_max: 500 };
const NO_LIMIT: usize = usize::MAX;

fn routed(payload: &str, expiry: Option<u32>, now: Instant) -> Arc<Routed> {
    let properties =
        expiry.map(|_| Properties { message_expiry_interval: expiry, ..Properties::default() });
    let message = Message {
        topic: "t".into(),
        payload: payload.to_owned().into(),
        qos: QoS::ExactlyOnce,
        retain: false,
        publisher: None,
        properties: properties.map(Into::into),
    };
    Arc::new(Routed::new(message, || now))
}

fn delivery(payload: &str, qos: QoS, now: Instant) -> Delivery {
    Delivery { routed: routed(payload, None, now), qos, retain: false, identifiers: None }
}

struct Side {
    outbound: Outbound,
    now: Instant,
}

impl Side {
    fn online() -> Self {
        let mut outbound = Outbound::new(BOUNDS);
        outbound.connect();
        Self { outbound, now: Instant::now() }
    }

    fn offer(&mut self, payload: &str, qos: QoS) -> Offer {
        let now = self.now;
        self.outbound.offer(delivery(payload, qos, now), || now)
    }

    fn taken(&mut self, payload: &str, qos: QoS) {
        assert!(matches!(self.offer(payload, qos), Offer::Taken(_)), "{payload} was not taken");
    }

    /// Fills, and reads what was written as a client would.
    fn sent(&mut self) -> Vec<(String, u16, bool)> {
        let mut out = BytesMut::new();
        self.outbound.fill(LINK, self.now, NO_LIMIT, &mut out);
        let mut sent = Vec::new();
        while !out.is_empty() {
            match v4::Packet::read(&mut out, NO_LIMIT).expect("what is written can be read") {
                v4::Packet::Publish(publish) => {
                    let payload = String::from_utf8(publish.payload.to_vec()).expect("text");
                    sent.push((payload, publish.pkid, publish.dup));
                }
                v4::Packet::PubRel(release) => sent.push(("release".into(), release.pkid, false)),
                other => panic!("{other:?}"),
            }
        }
        sent
    }

    fn payloads(&mut self) -> Vec<String> {
        self.sent().into_iter().map(|(payload, ..)| payload).collect()
    }
}

#[test]
fn no_more_than_receive_maximum_is_in_flight_and_each_acknowledgement_makes_room_for_one() {
    let mut side = Side::online();
    for payload in ["a", "b", "c", "d", "e"] {
        side.taken(payload, QoS::AtLeastOnce);
    }
    assert_eq!(side.payloads(), ["a", "b", "c"]);
    assert!(side.payloads().is_empty());
    assert!(side.outbound.puback(2));
    assert!(!side.outbound.puback(2), "an id is acknowledged once");
    assert!(!side.outbound.puback(9), "an id that was never sent");
    assert_eq!(side.payloads(), ["d"]);
}

#[test]
fn qos_2_goes_through_its_four_steps_and_holds_its_id_until_the_last() {
    let mut side = Side::online();
    side.taken("a", QoS::ExactlyOnce);
    assert_eq!(side.sent(), [("a".to_owned(), 1, false)]);
    assert!(!side.outbound.puback(1), "a PUBACK does not settle QoS 2");
    assert!(!side.outbound.pubcomp(1), "nor does a PUBCOMP before its PUBREL");
    assert_eq!(side.outbound.pubrec(1, Reason::SUCCESS), Some(Reason::SUCCESS));
    assert_eq!(side.outbound.pubrec(1, Reason::SUCCESS), Some(Reason::SUCCESS));
    assert!(side.outbound.pubcomp(1));
    assert_eq!(side.outbound.pubrec(1, Reason::SUCCESS), Some(Reason::PACKET_ID_NOT_FOUND));
    side.taken("b", QoS::ExactlyOnce);
    side.sent();
    assert_eq!(side.outbound.pubrec(1, Reason::QUOTA_EXCEEDED), None, "refused: it is over");
    assert!(!side.outbound.pubcomp(1));
}

#[test]
fn what_was_not_settled_is_sent_again_in_order_with_dup_and_before_anything_new() {
    let mut side = Side::online();
    side.taken("a", QoS::AtLeastOnce);
    side.taken("b", QoS::ExactlyOnce);
    side.taken("c", QoS::ExactlyOnce);
    side.sent();
    side.outbound.pubrec(2, Reason::SUCCESS);
    side.outbound.disconnect();
    side.taken("d", QoS::AtLeastOnce);
    side.outbound.connect();
    assert!(!side.outbound.puback(1), "an acknowledgement of what this connection has not sent");
    let again = [("a".to_owned(), 1, true), ("release".to_owned(), 2, false)];
    assert_eq!(side.sent(), [&again[..], &[("c".to_owned(), 3, true)]].concat());
    assert!(side.outbound.puback(1));
    assert_eq!(side.sent(), [("d".to_owned(), 1, false)]);
}

#[test]
fn qos_0_is_dropped_when_the_outbox_is_full_or_the_client_away_and_the_others_wait() {
    let mut side = Side::online();
    for index in 0..BOUNDS.messages_max {
        side.taken(&index.to_string(), QoS::AtMostOnce);
    }
    assert!(matches!(side.offer("x", QoS::AtMostOnce), Offer::Dropped(Drop::Full)));
    assert!(matches!(side.offer("x", QoS::AtLeastOnce), Offer::Full(_)));
    side.outbound.disconnect();
    assert_eq!(side.outbound.waiting(), 0, "QoS 0 is not kept for later");
    assert!(matches!(side.offer("x", QoS::AtMostOnce), Offer::Dropped(Drop::Away)));
    for index in 0..BOUNDS.messages_max {
        side.taken(&index.to_string(), QoS::AtLeastOnce);
    }
    assert!(
        matches!(side.offer("newest", QoS::AtLeastOnce), Offer::Dropped(Drop::Full)),
        "nobody waits for a client that is away"
    );
    assert_eq!(side.outbound.take_dropped(), 2);
}

#[test]
fn bytes_fill_an_outbox_as_messages_do_and_a_large_message_fits_an_empty_one() {
    let mut side = Side::online();
    let large = "x".repeat(BOUNDS.bytes_max * 2);
    side.taken(&large, QoS::AtLeastOnce);
    assert!(matches!(side.offer("y", QoS::AtLeastOnce), Offer::Full(_)));
}

#[test]
fn a_client_that_stays_full_is_slow_until_half_of_its_outbox_is_sent() {
    let mut side = Side::online();
    for index in 0..BOUNDS.messages_max {
        side.taken(&index.to_string(), QoS::AtLeastOnce);
    }
    assert!(matches!(side.offer("x", QoS::AtLeastOnce), Offer::Full(_)));
    let over = side.now + PATIENCE;
    side.now += PATIENCE / 2;
    assert!(!side.outbound.give_up(side.now), "patience is not over");
    side.now = over;
    assert!(side.outbound.give_up(side.now));
    assert!(!side.outbound.give_up(side.now), "it is found slow once");
    assert!(matches!(side.offer("x", QoS::AtLeastOnce), Offer::Dropped(Drop::Slow)));
    assert!(!side.outbound.ready());
    // Three in flight, seven wait; then two more leave, and five is half.
    side.sent();
    assert!(matches!(side.offer("x", QoS::AtLeastOnce), Offer::Dropped(Drop::Slow)));
    side.outbound.puback(1);
    side.outbound.puback(2);
    let mut out = BytesMut::new();
    assert!(side.outbound.fill(LINK, side.now, NO_LIMIT, &mut out).room);
    side.taken("x", QoS::AtLeastOnce);
}

#[test]
fn a_message_whose_time_is_over_or_that_is_too_large_is_counted_and_not_sent() {
    let mut side = Side::online();
    let now = side.now;
    let expiring = Delivery {
        routed: routed("old", Some(10), now),
        qos: QoS::AtLeastOnce,
        retain: false,
        identifiers: None,
    };
    assert!(matches!(side.outbound.offer(expiring, || now), Offer::Taken(true)));
    side.taken(&"x".repeat(600), QoS::AtLeastOnce);
    side.now += Duration::from_secs(10);
    let mut out = BytesMut::new();
    let filled = side.outbound.fill(LINK, side.now, NO_LIMIT, &mut out);
    assert_eq!((filled.sent, filled.expired, filled.too_large), (0, 1, 1));
    assert!(out.is_empty());
    side.taken("next", QoS::AtLeastOnce);
    assert_eq!(side.payloads(), ["next"], "neither holds on to a place in the window");
}

#[test]
fn a_qos_2_id_is_taken_in_once_until_it_is_released() {
    let mut inbound = Inbound::default();
    assert_eq!(inbound.publish(5), Arrival::New);
    assert_eq!(inbound.publish(5), Arrival::Pending);
    assert!(!inbound.release(5), "it has no PUBREC yet");
    inbound.accept(5);
    assert_eq!(inbound.publish(5), Arrival::Repeated);
    assert!(inbound.release(5));
    assert!(!inbound.release(5));
    assert_eq!(inbound.publish(5), Arrival::New);
    inbound.refuse(5);
    assert_eq!(inbound.publish(5), Arrival::New);
    inbound.publish(6);
    inbound.accept(6);
    inbound.resume();
    assert_eq!(inbound.publish(5), Arrival::New, "its fate was never decided");
    assert_eq!(inbound.publish(6), Arrival::Repeated);
}

#[derive(Debug, Clone)]
enum Step {
    Offer,
    Acknowledge(prop::sample::Index),
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Offer),
        4 => any::<prop::sample::Index>().prop_map(Step::Acknowledge),
        1 => Just(Step::Reconnect),
    ]
}

proptest! {
    /// A client that acknowledges in any order and reconnects at any time.
    #[test]
    fn every_message_taken_reaches_a_client_that_keeps_acknowledging(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut side = Side::online();
        let mut taken = BTreeSet::new();
        let mut received = BTreeSet::new();
        let mut unacknowledged: Vec<u16> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Offer => {
                    let payload = number.to_string();
                    if matches!(side.offer(&payload, QoS::AtLeastOnce), Offer::Taken(_)) {
                        taken.insert(payload);
                    }
                }
                Step::Acknowledge(which) => {
                    if !unacknowledged.is_empty() {
                        let id = unacknowledged.swap_remove(which.index(unacknowledged.len()));
                        prop_assert!(side.outbound.puback(id));
                    }
                }
                Step::Reconnect => {
                    side.outbound.disconnect();
                    side.outbound.connect();
                    unacknowledged.clear();
                }
            }
            for (payload, id, _) in side.sent() {
                prop_assert!(!unacknowledged.contains(&id), "an id in flight is used again");
                unacknowledged.push(id);
                received.insert(payload);
            }
            prop_assert!(unacknowledged.len() <= LINK.receive_max);
        }
        while let Some(id) = unacknowledged.pop() {
            prop_assert!(side.outbound.puback(id));
            for (payload, id, _) in side.sent() {
                unacknowledged.push(id);
                received.insert(payload);
            }
        }
        prop_assert_eq!(taken, received);
    }
}
