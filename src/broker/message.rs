//! A message inside the gateway, independent of the MQTT version it came in by.

use std::sync::Arc;

use bytes::Bytes;

/// The quality of service of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum QoS {
    /// At most once.
    #[default]
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

/// MQTT 5 properties that travel with a message from publisher to subscriber.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// 1 where the payload is UTF-8 text.
    pub payload_format_indicator: Option<u8>,
    /// Seconds after which the message is not delivered any more.
    pub message_expiry_interval: Option<u32>,
    /// MIME type or whatever the publisher says.
    pub content_type: Option<String>,
    /// Where a response is expected.
    pub response_topic: Option<String>,
    /// What the response must carry back.
    pub correlation_data: Option<Bytes>,
    /// Name and value pairs.
    pub user_properties: Vec<(String, String)>,
}

/// A published message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: Arc<str>,
    /// The payload.
    pub payload: Bytes,
    /// The publisher's quality of service.
    pub qos: QoS,
    /// Whether the publisher asked to retain it.
    pub retain: bool,
    /// The publishing session's client id, for `no local`; `None` for the gateway's own.
    pub publisher: Option<Arc<str>>,
    /// MQTT 5 properties, where there are any.
    pub properties: Option<Arc<Properties>>,
}
