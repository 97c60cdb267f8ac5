//! Readings: what one device yielded in one poll or one frame.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use thiserror::Error;

use crate::Timestamp;

/// The most bytes a device's name may have.
const DEVICE_NAME_BYTES_MAX: usize = 64;

/// The name of a device: 1 to 64 bytes of ASCII letters, digits, `.`, `_`, `-` or `:`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(Arc<str>);

/// The name breaks the rule of [`DeviceName`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no device name: use 1 to 64 letters, digits, '.', '_', '-' or ':'")]
pub struct InvalidDeviceName(String);

impl DeviceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceName {
    type Error = InvalidDeviceName;

    fn try_from(name: String) -> Result<Self, InvalidDeviceName> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
        if (1..=DEVICE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidDeviceName(name))
        }
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All points that one device yielded at one moment. Goes out as one JSON message.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The device.
    pub device: DeviceName,
    /// The local topic to publish on, already expanded.
    pub topic: String,
    /// When the device was read.
    pub at: Timestamp,
    /// Counts the readings of this device since the gateway started, from 0.
    pub sequence: u64,
    /// The points, in configured order.
    pub points: Vec<Point>,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The point's configured name.
    pub name: String,
    /// The value; `None` where the quality says why there is none.
    pub value: Option<Value>,
    /// The unit, as configured.
    pub unit: Option<String>,
    /// Whether the value can be used.
    pub quality: Quality,
}

/// A value of a point. A float that is not finite is never `Good`; in JSON it is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A coil, a discrete input, a bit.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer beyond `i64`.
    UInt(u64),
    /// Anything scaled, or a float by type.
    Float(f64),
    /// Text, and names of enumerated values.
    Text(String),
}

/// Whether a value can be used, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// Read just now, checked, in range.
    Good,
    /// The last good value, repeated, because this poll brought none.
    Stale,
    /// The device did not answer in time.
    Timeout,
    /// An answer came, damaged.
    Crc,
    /// The device answered with this Modbus exception code.
    Exception(u8),
    /// The device answered with its sign for "no value".
    InvalidValue,
    /// The device is given up for now and only probed from time to time.
    Offline,
    /// The map asks for something that this device does not have.
    Config,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Stale => f.write_str("stale"),
            Self::Timeout => f.write_str("timeout"),
            Self::Crc => f.write_str("crc"),
            Self::Exception(code) => write!(f, "exception:{code}"),
            Self::InvalidValue => f.write_str("invalid_value"),
            Self::Offline => f.write_str("offline"),
            Self::Config => f.write_str("config"),
        }
    }
}

impl Reading {
    /// The JSON message of this reading:
    /// `{"device":…,"ts":RFC 3339,"ts_trusted":…,"seq":…,"points":{name:{"value":…,"unit":…,"quality":…}}}`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a reading holds nothing that JSON cannot")
    }
}

impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("device", self.device.as_str())?;
        map.serialize_entry("ts", &self.at.to_rfc3339())?;
        map.serialize_entry("ts_trusted", &self.at.trusted)?;
        map.serialize_entry("seq", &self.sequence)?;
        map.serialize_entry("points", &PointsByName(&self.points))?;
        map.end()
    }
}

struct PointsByName<'a>(&'a [Point]);

impl Serialize for PointsByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|point| (&point.name, point)))
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("value", &self.value)?;
        if let Some(unit) = &self.unit {
            map.serialize_entry("unit", unit)?;
        }
        map.serialize_entry("quality", &self.quality.to_string())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(points: Vec<Point>) -> Reading {
        Reading {
            device: DeviceName::try_from("wx-1".to_owned()).unwrap(),
            topic: "sensors/wx-1".to_owned(),
            at: Timestamp { unix_millis: 1_700_000_000_123, trusted: true },
            sequence: 7,
            points,
        }
    }

    #[test]
    fn a_reading_is_one_json_message_with_unit_and_quality_per_point() {
        let json = reading(vec![
            Point {
                name: "temperature".into(),
                value: Some(Value::Float(21.5)),
                unit: Some("°C".into()),
                quality: Quality::Good,
            },
            Point { name: "rain".into(), value: None, unit: None, quality: Quality::Exception(2) },
        ])
        .to_json();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"device":"wx-1","ts":"2023-11-14T22:13:20.123Z","ts_trusted":true,"seq":7,"points":{"temperature":{"value":21.5,"unit":"°C","quality":"good"},"rain":{"value":null,"quality":"exception:2"}}}"#
        );
    }

    #[test]
    fn a_float_that_is_not_finite_is_null_in_json() {
        let json = reading(vec![Point {
            name: "x".into(),
            value: Some(Value::Float(f64::NAN)),
            unit: None,
            quality: Quality::InvalidValue,
        }])
        .to_json();
        assert!(String::from_utf8(json).unwrap().contains(r#""value":null"#));
    }

    #[test]
    fn a_device_name_is_refused_where_it_would_break_a_topic() {
        for bad in ["", "a/b", "a+b", "a#", "ä", "a b", &"x".repeat(65)] {
            assert!(DeviceName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(DeviceName::try_from("gw-1.bus:2_a".to_owned()).is_ok());
    }
}
