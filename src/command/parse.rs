//! From the cloud's bytes to an order. (The form is in the head of the module.)

use std::time::Duration;

use bytes::Bytes;
use holdfast_adapter_api::{DeviceName, Value};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    deadline::{Said, Validity},
    entry::Order,
    outcome::Subject,
};

/// The largest command taken, in bytes of its payload.
pub(super) const COMMAND_BYTES_MAX: usize = 128 * 1024;
const ID_BYTES_MAX: usize = 128;
/// How much of a text that came from outside a reason or an outcome repeats.
const ECHO_CHARS_MAX: usize = 128;
/// Beyond this a lifetime is a mistake.
const EXPIRES_IN_S_MAX: f64 = 366.0 * 24.0 * 3600.0;

/// A command that can be carried out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parsed {
    pub id: String,
    pub order: Order,
    pub validity: Validity,
}

/// A command that cannot, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Malformed {
    pub subject: Subject,
    pub reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    id: Option<String>,
    device: Option<DeviceName>,
    point: Option<String>,
    value: Option<Value>,
    topic: Option<String>,
    #[serde(default, deserialize_with = "present")]
    payload: Option<Json>,
    qos: Option<u8>,
    retain: Option<bool>,
    issued_at: Option<String>,
    expires_at: Option<String>,
    expires_in_s: Option<f64>,
}

/// Tells `"payload": null` from no payload.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// Reads a command that came under `topic`.
pub(super) fn parse(
    topic: &str,
    payload: &[u8],
    expires_after: Duration,
) -> Result<Parsed, Malformed> {
    let malformed = |subject: &Subject, reason: String| Malformed {
        subject: subject.clone(),
        reason: format!("malformed: {reason}"),
    };
    let mut subject = Subject { id: Some(derived_id(topic, payload)), ..Subject::default() };
    if payload.len() > COMMAND_BYTES_MAX {
        let reason = format!("too_large: {} bytes of {COMMAND_BYTES_MAX} at most", payload.len());
        return Err(Malformed { subject, reason });
    }
    let json: Json = serde_json::from_slice(payload)
        .map_err(|error| malformed(&subject, format!("not JSON: {error}")))?;
    subject = known_of(&json, subject);
    let wire: Wire = serde_json::from_value(json)
        .map_err(|error| malformed(&subject, clipped(&error.to_string())))?;
    let said = said(&wire).map_err(|reason| malformed(&subject, reason))?;
    let id = match &wire.id {
        Some(id) => checked_id(id).map_err(|reason| malformed(&subject, reason))?,
        None if said.issued_at_millis.is_some() => derived_id(topic, payload),
        None => {
            let reason = "id_missing: give `id`, or `issued_at` to make one of".to_owned();
            return Err(Malformed { subject, reason });
        }
    };
    let order = order(wire).map_err(|reason| malformed(&subject, reason))?;
    Ok(Parsed { id, order, validity: Validity::new(said, expires_after) })
}

/// X.
fn known_of(json: &Json, unknown: Subject) -> Subject {
    let text = |key: &str| json.get(key).and_then(Json::as_str).map(clipped);
    Subject {
        id: text("id").or(unknown.id),
        device: text("device"),
        point: text("point"),
        topic: text("topic"),
    }
}

fn order(wire: Wire) -> Result<Order, String> {
    match (wire.device, wire.topic) {
        (Some(device), None) => {
            let misplaced = wire.payload.is_some() || wire.qos.is_some() || wire.retain.is_some();
            match (wire.point, wire.value) {
                _ if misplaced => Err("a write takes no `payload`, `qos` or `retain`".to_owned()),
                (Some(point), Some(value)) => Ok(Order::Write { device, point, value }),
                _ => Err("a write needs `point` and `value`".to_owned()),
            }
        }
        (None, Some(topic)) => {
            if wire.point.is_some() || wire.value.is_some() {
                return Err("a publish takes no `point` or `value`".to_owned());
            }
            let payload = wire.payload.ok_or("a publish needs `payload`")?;
            publish(topic, payload, wire.qos.unwrap_or(1), wire.retain.unwrap_or(false))
        }
        _ => Err("give either `device` or `topic`".to_owned()),
    }
}

fn publish(topic: String, payload: Json, qos: u8, retain: bool) -> Result<Order, String> {
    let forbidden = topic.is_empty()
        || topic.len() > usize::from(u16::MAX)
        || topic.starts_with('$')
        || topic.contains(['+', '#', '\0']);
    if forbidden {
        return Err("`topic` is not one that may be published to".to_owned());
    }
    if qos > 2 {
        return Err("`qos` is 0, 1 or 2".to_owned());
    }
    let payload = match payload {
        Json::String(text) => Bytes::from(text),
        other => Bytes::from(other.to_string()),
    };
    Ok(Order::Publish { topic, payload, qos, retain })
}

fn said(wire: &Wire) -> Result<Said, String> {
    let expires_in_millis = match wire.expires_in_s {
        None => None,
        Some(seconds) if (0.0..=EXPIRES_IN_S_MAX).contains(&seconds) => {
            Some((seconds * 1_000.0) as u64)
        }
        Some(_) => return Err(format!("`expires_in_s` is 0 to {EXPIRES_IN_S_MAX}")),
    };
    Ok(Said {
        issued_at_millis: moment("issued_at", wire.issued_at.as_deref())?,
        expires_at_millis: moment("expires_at", wire.expires_at.as_deref())?,
        expires_in_millis,
    })
}

fn moment(key: &str, text: Option<&str>) -> Result<Option<i64>, String> {
    let Some(text) = text else { return Ok(None) };
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| format!("`{key}` is no RFC 3339 time: {}", clipped(text)))?;
    Ok(i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok())
}

fn checked_id(id: &str) -> Result<String, String> {
    if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(format!("`id` has 1 to {ID_BYTES_MAX} bytes and no control characters"));
    }
    Ok(id.to_owned())
}

/// An id made of what the command says, so that a repeated delivery has the same.
fn derived_id(topic: &str, payload: &[u8]) -> String {
    let bytes = topic.bytes().chain([0]).chain(payload.iter().copied());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("derived-{hash:016x}")
}

fn clipped(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
