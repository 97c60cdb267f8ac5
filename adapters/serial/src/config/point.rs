//! `[[serial.point]]`

use holdfast_adapter_api::Value;
use serde::Deserialize;

use super::ByteOrder;

/// One value of the device: `[[serial.point]]`.
#[derive(Debug, Clone, Deserialize)]
pub struct PointConfig {
    /// The point's name in readings and commands.
    pub name: String,
    /// The unit, as it stands in readings.
    pub unit: Option<String>,
    /// What the value is.
    #[serde(default, rename = "type")]
    pub kind: PointType,
    /// A number is multiplied by this,
    #[serde(default = "default_scale")]
    pub scale: f64,
    /// and this is added then.
    #[serde(default)]
    pub offset: f64,
    /// Texts or numbers, as the device sends them, that mean "no value".
    #[serde(default)]
    pub invalid: Vec<Value>,
    /// The least value, after scale and offset, that is believed or written.
    pub min: Option<f64>,
    /// The greatest value, after scale and offset, that is believed or written.
    pub max: Option<f64>,
    /// `nmea`: the sentence, with its talker (`WIMWV`) or for any talker (`MWV`).
    pub sentence: Option<String>,
    /// `nmea`: the field, counted from 1 after the sentence's name.
    pub field: Option<usize>,
    /// `nmea`, instead of `field`: the transducer of an XDR sentence, as `type:id`: `C:0`.
    pub transducer: Option<String>,
    /// `csv`: the column, counted from 1.
    pub column: Option<usize>,
    /// `regex`: the named group; the point's name if not given.
    pub group: Option<String>,
    /// `json`: the JSON pointer (RFC 6901); `/` and the point's name if not given.
    pub path: Option<String>,
    /// `binary`: the first byte, counted from 0 at the start of the frame.
    pub byte: Option<usize>,
    /// `binary`: the width: 1, 2, 4 or 8 bytes.
    pub width: Option<usize>,
    /// `binary`: the order of the bytes.
    #[serde(default)]
    pub order: ByteOrder,
    /// The value counts only where another field of the same frame says that it does.
    pub require: Option<Require>,
    /// What to send to write this point, with `{value}` in it; without it, it is read-only.
    pub write: Option<String>,
    /// What the device's answer to a write must contain; without it, a write counts as done
    /// once it was sent.
    pub write_answer: Option<String>,
}

/// What a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointType {
    /// A number.
    #[default]
    Float,
    /// A whole number, with a sign.
    Int,
    /// A whole number without a sign.
    Uint,
    /// `1`, `true`, `on`, `yes` or the opposite.
    Bool,
    /// Text.
    Text,
    /// NMEA `ddmm.mmm` with the hemisphere in the next field; becomes degrees, south negative.
    Latitude,
    /// NMEA `dddmm.mmm` with the hemisphere in the next field; becomes degrees, west negative.
    Longitude,
}

/// A condition on another field of the same frame: `require`.
#[derive(Debug, Clone, Deserialize)]
pub struct Require {
    /// `nmea`: the field.
    pub field: Option<usize>,
    /// `csv`: the column.
    pub column: Option<usize>,
    /// `regex`: the group.
    pub group: Option<String>,
    /// `json`: the pointer.
    pub path: Option<String>,
    /// The texts, one of which must stand there.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// The texts, none of which may stand there.
    #[serde(default)]
    pub none_of: Vec<String>,
}

fn default_scale() -> f64 {
    1.0
}
