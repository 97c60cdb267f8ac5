//! Packets as a server receives them, independent of the version they came in.

use std::sync::Arc;

use bytes::Bytes;

use super::Reason;
use crate::broker::{Properties, QoS};

/// A version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Version {
    V311,
    V5,
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::broker) enum Packet {
    Connect(Box<Connect>),
    Publish(Publish),
    PubAck(Acknowledgement),
    PubRec(Acknowledgement),
    PubRel(Acknowledgement),
    PubComp(Acknowledgement),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    PingReq,
    Disconnect(Disconnect),
    Auth,
}

/// CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::broker) struct Connect {
    pub version: Version,
    pub clean_start: bool,
    /// Seconds; 0 is never.
    pub keep_alive: u16,
    pub client_id: String,
    pub will: Option<Will>,
    pub user_name: Option<String>,
    pub password: Option<Bytes>,
    /// Seconds; `None` where the client did not say.
    pub session_expiry: Option<u32>,
    pub receive_max: Option<u16>,
    pub packet_bytes_max: Option<u32>,
    pub authentication_method: bool,
}

/// The message a client leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::broker) struct Will {
    pub topic: Arc<str>,
    pub payload: Bytes,
    pub qos: QoS,
    pub retain: bool,
    /// Seconds to wait before it is published.
    pub delay: u32,
    pub properties: Option<Arc<Properties>>,
}

/// PUBLISH.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::broker) struct Publish {
    pub qos: QoS,
    pub retain: bool,
    /// Empty where only an alias was sent.
    pub topic: Arc<str>,
    /// 0 at QoS 0.
    pub id: u16,
    pub payload: Bytes,
    pub topic_alias: Option<u16>,
    pub properties: Option<Arc<Properties>>,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Acknowledgement {
    pub id: u16,
    pub reason: Reason,
}

/// When a subscription gets the retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::broker) enum RetainHandling {
    #[default]
    OnSubscribe,
    OnNewSubscription,
    Never,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Filter {
    pub path: String,
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

/// SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Subscribe {
    pub id: u16,
    pub identifier: Option<u32>,
    pub filters: Vec<Filter>,
}

/// UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Unsubscribe {
    pub id: u16,
    pub filters: Vec<String>,
}

/// DISCONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Disconnect {
    pub reason: Reason,
    pub session_expiry: Option<u32>,
}
