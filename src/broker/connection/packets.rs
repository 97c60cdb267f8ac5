//! What each packet of an attached client does.

use std::{sync::Arc, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{info, warn};

use super::{driver::Driver, ending::End, intake::Decided, open::TOPIC_ALIAS_MAX};
use crate::{
    broker::{
        Message, QoS,
        codec::{self, Acknowledgement, Disconnect, Filter, Malformed, Packet, Publish, Reason},
        codec::{Subscribe, Unsubscribe, Version},
        session::{Arrival, RetainedCursor, Subscribed},
    },
    ingest::Verdict,
    queue::Refusal,
};

/// The broker's own topics.
const SYS: &str = "$SYS";

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn handle(&mut self, packet: Packet) {
        match packet {
            Packet::Publish(publish) => self.publish(publish),
            Packet::PubAck(ack) => {
                self.session.lock().outbound.puback(ack.id);
                self.fill = true;
            }
            Packet::PubRec(ack) => {
                let release = self.session.lock().outbound.pubrec(ack.id, ack.reason);
                match release {
                    Some(reason) => codec::pubrel(self.link.version, ack.id, reason, &mut self.out),
                    None => self.fill = true,
                }
            }
            Packet::PubRel(ack) => self.release(ack),
            Packet::PubComp(ack) => {
                self.session.lock().outbound.pubcomp(ack.id);
                self.fill = true;
            }
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Packet::PingReq => codec::pingresp(&mut self.out),
            Packet::Disconnect(disconnect) => self.disconnect(disconnect),
            Packet::Connect(_) => {
                let error = Malformed::protocol("a second CONNECT", "MQTT-3.1.0-2");
                self.end(End::Malformed(error));
            }
            Packet::Auth => {
                let error = Malformed::protocol("AUTH without a method", "MQTT-4.12.0-6");
                self.end(End::Malformed(error));
            }
        }
    }

    fn publish(&mut self, mut publish: Publish) {
        if let Some(alias) = publish.topic_alias
            && let Err(error) = self.resolve_alias(alias, &mut publish.topic)
        {
            return self.end(End::Malformed(error));
        }
        let counters = &self.hub.counters;
        match publish.qos {
            QoS::AtMostOnce => counters.received_qos0.add(1),
            QoS::AtLeastOnce => counters.received_qos1.add(1),
            QoS::ExactlyOnce => counters.received_qos2.add(1),
        }
        if publish.qos == QoS::ExactlyOnce {
            let arrival = self.session.lock().inbound.publish(publish.id);
            match arrival {
                Arrival::New => {}
                Arrival::Pending => return counters.received_again.add(1),
                Arrival::Repeated => {
                    counters.received_again.add(1);
                    let version = self.link.version;
                    return codec::pubrec(version, publish.id, Reason::SUCCESS, &mut self.out);
                }
            }
        }
        if publish.qos != QoS::AtMostOnce {
            self.unsettled += 1;
            let receive_max = usize::from(self.hub.limits.inflight_max.max(1));
            if self.link.version == Version::V5 && self.unsettled > receive_max {
                let error = Malformed::protocol("more than Receive Maximum", "MQTT-3.3.4-9");
                return self.end(End::Malformed(error.because(Reason::RECEIVE_MAXIMUM_EXCEEDED)));
            }
        }
        let message = Message {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            publisher: Some(self.session.client_id().clone()),
            properties: publish.properties,
        };
        if message.topic.strip_prefix(SYS).is_some_and(|r| r.is_empty() || r.starts_with('/')) {
            return self.refuse(&message, publish.id, Refusal::TopicInvalid);
        }
        self.intake.push(message, publish.id);
    }

    fn resolve_alias(&mut self, alias: u16, topic: &mut Arc<str>) -> Result<(), Malformed> {
        const INVALID: Malformed =
            Malformed::protocol("a topic alias that is not one", "MQTT-3.3.2-8")
                .because(Reason::TOPIC_ALIAS_INVALID);
        if alias == 0 || alias > TOPIC_ALIAS_MAX {
            return Err(INVALID);
        }
        let index = usize::from(alias) - 1;
        if topic.is_empty() {
            let known = self.aliases.get(index).and_then(Option::as_ref);
            *topic = known.ok_or(INVALID.because(Reason::PROTOCOL_ERROR))?.clone();
        } else {
            if self.aliases.len() <= index {
                self.aliases.resize(index + 1, None);
            }
            self.aliases[index] = Some(topic.clone());
        }
        Ok(())
    }

    /// Acknowledges what was accepted, and tells or closes for what was not. What is to be
    /// delivered comes back.
    pub(super) fn acknowledge(&mut self, decided: Decided) -> Vec<Message> {
        let Decided { messages, ids, verdicts } = decided;
        let mut verdicts = verdicts.into_iter();
        let mut accepted = Vec::with_capacity(messages.len());
        let mut acknowledged = 0;
        for (message, id) in messages.into_iter().zip(ids) {
            // A door that says nothing of a message has not taken it.
            match verdicts.next().unwrap_or(Verdict::Refused(Refusal::StorageFailed)) {
                Verdict::Accepted => {
                    acknowledged += u64::from(message.qos != QoS::AtMostOnce);
                    self.accepted(message.qos, id);
                    accepted.push(message);
                }
                Verdict::Refused(refusal) => self.refuse(&message, id, refusal),
            }
        }
        self.hub.counters.acknowledged.add(acknowledged);
        accepted
    }

    fn accepted(&mut self, qos: QoS, id: u16) {
        let version = self.link.version;
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => {
                self.settled();
                codec::puback(version, id, Reason::SUCCESS, &mut self.out);
            }
            QoS::ExactlyOnce => {
                self.session.lock().inbound.accept(id);
                codec::pubrec(version, id, Reason::SUCCESS, &mut self.out);
            }
        }
    }

    fn settled(&mut self) {
        self.unsettled = self.unsettled.saturating_sub(1);
    }

    fn refuse(&mut self, message: &Message, id: u16, refusal: Refusal) {
        self.hub.counters.refused_messages.add(1);
        if message.qos == QoS::AtMostOnce {
            return;
        }
        self.settled();
        if message.qos == QoS::ExactlyOnce {
            self.session.lock().inbound.refuse(id);
        }
        let (device, topic) = (&*self.session.source.0, &*message.topic);
        match self.link.version {
            Version::V311 => {
                if self.ending.is_none() {
                    warn!(device, topic, reason = ?refusal, "closed: a message was refused");
                }
                self.end(End::Refused);
            }
            Version::V5 => {
                info!(device, topic, reason = ?refusal, "a message was refused");
                let reason = match refusal {
                    Refusal::TopicInvalid => Reason::TOPIC_NAME_INVALID,
                    Refusal::PayloadTooLarge => Reason::PACKET_TOO_LARGE,
                    Refusal::StreamFull | Refusal::StorageFailed => Reason::QUOTA_EXCEEDED,
                };
                if message.qos == QoS::AtLeastOnce {
                    // PUBACK does not know "packet too large" [table 3.4].
                    let reason = match reason {
                        Reason::PACKET_TOO_LARGE => Reason::UNSPECIFIED,
                        reason => reason,
                    };
                    codec::puback(Version::V5, id, reason, &mut self.out);
                } else {
                    codec::pubrec(Version::V5, id, reason, &mut self.out);
                }
            }
        }
    }

    fn release(&mut self, ack: Acknowledgement) {
        let known = self.session.lock().inbound.release(ack.id);
        if known {
            self.settled();
        }
        let reason = if known { Reason::SUCCESS } else { Reason::PACKET_ID_NOT_FOUND };
        codec::pubcomp(self.link.version, ack.id, reason, &mut self.out);
    }

    fn subscribe(&mut self, subscribe: &Subscribe) {
        let codes: Vec<u8> = subscribe
            .filters
            .iter()
            .map(|filter| self.subscribe_one(filter, subscribe.identifier))
            .collect();
        codec::suback(self.link.version, subscribe.id, &codes, &mut self.out);
        // Retained messages follow the SUBACK.
        self.fill = true;
    }

    fn subscribe_one(&self, filter: &Filter, identifier: Option<u32>) -> u8 {
        let subscribed = Subscribed::new(filter, identifier);
        let mut state = self.session.lock();
        let is_new = !state.subscriptions.contains_key(&filter.path);
        if is_new && state.subscriptions.len() >= self.hub.limits.subscriptions_max {
            warn!(
                device = &*self.session.source.0,
                filter = filter.path,
                "a subscription beyond limits.subscriptions_max was refused"
            );
            return Reason::QUOTA_EXCEEDED.0;
        }
        state.subscriptions.insert(filter.path.clone(), subscribed);
        drop(state);
        // In the index before the retained messages are read: one published meanwhile may come
        // twice, but not never.
        self.hub.switchboard.subscribe(&self.session, &filter.path, subscribed);
        let shared = filter.path.starts_with("$share/");
        if !shared && Subscribed::retained_due(filter.retain_handling, is_new) {
            let mut state = self.session.lock();
            state.retained.retain(|cursor| cursor.filter != filter.path);
            let filter = filter.path.clone();
            state.retained.push(RetainedCursor { filter, subscribed, after: None });
        }
        filter.qos as u8
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let codes: Vec<u8> = unsubscribe
            .filters
            .iter()
            .map(|filter| {
                let mut state = self.session.lock();
                let existed = state.subscriptions.remove(filter).is_some();
                state.retained.retain(|cursor| cursor.filter != *filter);
                drop(state);
                if existed {
                    self.hub.switchboard.unsubscribe(&self.session, filter);
                    Reason::SUCCESS.0
                } else {
                    Reason::NO_SUBSCRIPTION_EXISTED.0
                }
            })
            .collect();
        codec::unsuback(self.link.version, unsubscribe.id, &codes, &mut self.out);
    }

    fn disconnect(&mut self, disconnect: Disconnect) {
        if let Some(seconds) = disconnect.session_expiry {
            if self.keep.is_zero() && seconds > 0 {
                let error =
                    Malformed::protocol("a session that was to end is to be kept", "MQTT-3.14.2-2");
                return self.end(End::Malformed(error));
            }
            let max = self.hub.limits.session_expiry_max;
            self.keep = Duration::from_secs(seconds.into()).min(max);
        }
        // [MQTT-3.14.4-3]; any other reason than a normal one keeps the will.
        self.end(End::Disconnect(disconnect.reason != Reason::SUCCESS));
    }
}
