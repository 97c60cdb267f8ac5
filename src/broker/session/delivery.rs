//! A message on its way to one subscriber.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::broker::{Message, QoS};

/// A published message as all its subscribers share it.
#[derive(Debug)]
pub(in crate::broker) struct Routed {
    pub message: Message,
    /// When it is not to be delivered any more.
    pub expires: Option<Instant>,
    /// What it counts towards `limits.outbox_bytes_max`.
    pub weight: usize,
}

impl Routed {
    /// Takes the message at the time `now`, from which its expiry counts.
    pub fn new(message: Message, now: impl FnOnce() -> Instant) -> Self {
        let properties = message.properties.as_deref();
        let expires = properties
            .and_then(|properties| properties.message_expiry_interval)
            .map(|seconds| now() + Duration::from_secs(seconds.into()));
        let weight = message.topic.len() + message.payload.len() + properties.map_or(0, weight);
        Self { message, expires, weight }
    }

    /// Whether its time is over.
    pub fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whole seconds that are left of its life, for the subscriber [MQTT-3.3.2-6].
    pub fn seconds_left(&self, now: Instant) -> Option<u32> {
        self.expires.map(|expires| expires.saturating_duration_since(now).as_secs().max(1) as u32)
    }
}

fn weight(properties: &crate::broker::Properties) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    text(&properties.content_type)
        + text(&properties.response_topic)
        + properties.correlation_data.as_ref().map_or(0, bytes::Bytes::len)
        + properties.user_properties.iter().map(|(k, v)| 64 + k.len() + v.len()).sum::<usize>()
}

/// The message with what one subscription makes of it.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Delivery {
    pub routed: Arc<Routed>,
    pub qos: QoS,
    pub retain: bool,
    /// The subscription identifiers that it matched.
    pub identifiers: Option<Box<[u32]>>,
}

impl Delivery {
    pub fn identifiers(&self) -> &[u32] {
        self.identifiers.as_deref().unwrap_or_default()
    }
}
