//! A command as it is kept on disk.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use holdfast_adapter_api::{DeviceName, Timestamp, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{deadline::Validity, outcome::Report};
use crate::queue::Stamp;

/// A [`Stamp`] that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    pub boot: u64,
    pub monotonic_millis: u64,
    pub wall_millis: i64,
    pub wall_trusted: bool,
}

impl From<Stamp> for Moment {
    fn from(stamp: Stamp) -> Self {
        Self {
            boot: stamp.boot,
            monotonic_millis: stamp.monotonic_millis,
            wall_millis: stamp.wall_millis,
            wall_trusted: stamp.wall_trusted,
        }
    }
}

impl Moment {
    pub(super) fn to_rfc3339(self) -> String {
        Timestamp { unix_millis: self.wall_millis, trusted: self.wall_trusted }.to_rfc3339()
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Write a point of a device.
    Write { device: DeviceName, point: String, value: Value },
    /// Publish on a local topic.
    Publish {
        topic: String,
        #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
        payload: Bytes,
        qos: u8,
        retain: bool,
    },
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Nothing was done yet.
    Pending,
    /// It is being handed to its adapter, or was.
    Started,
    /// It is settled, and to be reported.
    Finished(Report),
}

/// A command in the inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub id: String,
    pub order: Order,
    pub validity: Validity,
    pub received: Moment,
    /// The state store's epoch when it was written. In a later one, newer stages may be lost.
    pub epoch: u64,
    pub stage: Stage,
}

impl Entry {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry holds nothing that JSON cannot")
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The device it is for; `None` for a local publish.
    pub(super) fn device(&self) -> Option<&DeviceName> {
        match &self.order {
            Order::Write { device, .. } => Some(device),
            Order::Publish { .. } => None,
        }
    }

    /// What it takes in memory, roughly.
    pub(super) fn weight(&self) -> usize {
        let order = match &self.order {
            Order::Write { point, value: Value::Text(text), .. } => point.len() + text.len(),
            Order::Write { point, .. } => point.len(),
            Order::Publish { topic, payload, .. } => topic.len() + payload.len(),
        };
        size_of::<Self>() + self.id.len() + order
    }
}

fn to_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
}
