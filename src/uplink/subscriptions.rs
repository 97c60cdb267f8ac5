//! The SUBSCRIBEs of one connection and their answers.

use std::time::Instant;

use rumqttc::{Packet, QoS, SubAck, Subscribe, SubscribeFilter, SubscribeReasonCode};

use super::window::PKID_MAX;

/// What was asked for and not answered yet.
#[derive(Debug)]
pub struct Subscriptions {
    unanswered: Vec<(u16, Vec<String>)>,
    until: Instant,
}

impl Subscriptions {
    /// The packets that ask for these filters. Messages wait for the answers until `until`.
    pub fn ask(filters: &[String], per_packet: usize, until: Instant) -> (Self, Vec<Packet>) {
        let mut packets = Vec::new();
        let mut unanswered = Vec::new();
        for (pkid, filters) in (PKID_MAX + 1..).zip(filters.chunks(per_packet.max(1))) {
            let wanted =
                filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
            let mut packet = Subscribe::new_many(wanted);
            packet.pkid = pkid;
            packets.push(Packet::Subscribe(packet));
            unanswered.push((pkid, filters.to_vec()));
        }
        (Self { unanswered, until }, packets)
    }

    /// Takes an answer; the filters that were refused.
    pub fn answer(&mut self, ack: &SubAck) -> Vec<String> {
        let Some(at) = self.unanswered.iter().position(|(pkid, _)| *pkid == ack.pkid) else {
            return Vec::new();
        };
        let (_, filters) = self.unanswered.swap_remove(at);
        let granted = |index: usize| {
            matches!(ack.return_codes.get(index), Some(SubscribeReasonCode::Success(_)))
        };
        let refused = filters.into_iter().enumerate().filter(|(index, _)| !granted(*index));
        refused.map(|(_, filter)| filter).collect()
    }

    /// Stops waiting when it has lasted too long; whether that happened now.
    pub fn give_up(&mut self, now: Instant) -> bool {
        let given_up = now >= self.until && !self.unanswered.is_empty();
        if given_up {
            self.unanswered.clear();
        }
        given_up
    }

    /// Until when messages have to wait, if they have to.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.unanswered.is_empty()).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("f/{n}")).collect()
    }

    #[test]
    fn filters_go_in_packets_of_eight_under_identifiers_no_message_uses() {
        let (subscriptions, packets) = Subscriptions::ask(&names(20), 8, Instant::now());
        let sizes: Vec<(u16, usize)> = packets
            .iter()
            .map(|packet| match packet {
                Packet::Subscribe(subscribe) => (subscribe.pkid, subscribe.filters.len()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [(PKID_MAX + 1, 8), (PKID_MAX + 2, 8), (PKID_MAX + 3, 4)]);
        assert!(subscriptions.deadline().is_some());
    }

    #[test]
    fn each_filter_that_was_refused_or_not_answered_for_is_named() {
        let (mut subscriptions, _) = Subscriptions::ask(&names(4), 8, Instant::now());
        let granted = SubscribeReasonCode::Success(QoS::AtMostOnce);
        let codes = vec![granted, SubscribeReasonCode::Failure, granted];
        assert_eq!(subscriptions.answer(&SubAck::new(1, codes.clone())), Vec::<String>::new());
        assert!(subscriptions.deadline().is_some(), "that was somebody else's answer");
        assert_eq!(subscriptions.answer(&SubAck::new(PKID_MAX + 1, codes)), ["f/1", "f/3"]);
        assert_eq!(subscriptions.deadline(), None);
    }

    #[test]
    fn messages_do_not_wait_for_an_answer_for_ever() {
        let now = Instant::now();
        let until = now + std::time::Duration::from_secs(10);
        let (mut subscriptions, _) = Subscriptions::ask(&names(1), 8, until);
        assert!(!subscriptions.give_up(now));
        assert!(subscriptions.give_up(until));
        assert!(!subscriptions.give_up(until), "once");
        assert_eq!(subscriptions.deadline(), None);
    }
}
