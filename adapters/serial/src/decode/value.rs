//! From what stands in a field to a value.

use holdfast_adapter_api::Value;

use super::{nmea, source::Found};
use crate::config::PointType;

/// How a point's value is made from its field.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// What the value is.
    pub kind: PointType,
    /// A number is multiplied by this,
    pub scale: f64,
    /// and this is added then.
    pub offset: f64,
    /// What means "no value", before scale and offset.
    pub invalid: Vec<Value>,
    /// The least value believed.
    pub min: Option<f64>,
    /// The greatest value believed.
    pub max: Option<f64>,
}

impl Conversion {
    /// The value, or `None` if there is none that can be believed. `next` is the field after.
    pub fn value(&self, found: &Found<'_>, next: &Found<'_>) -> Option<Value> {
        let value = self.raw(found, next)?;
        if self.means_no_value(&value, found) {
            return None;
        }
        let value = self.scaled(value)?;
        match number(&value) {
            Some(number) => self.believes(number).then_some(value),
            None => Some(value),
        }
    }

    /// Whether a value lies between `min` and `max`.
    pub fn believes(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// Whether numbers pass as they are.
    pub fn is_plain(&self) -> bool {
        self.scale == 1.0 && self.offset == 0.0
    }

    fn raw(&self, found: &Found<'_>, next: &Found<'_>) -> Option<Value> {
        match found {
            Found::Elsewhere | Found::Missing | Found::Empty => None,
            Found::Bytes(bytes) => self.of_bytes(bytes),
            Found::Json(value) => self.of_json(value),
            Found::Text(text) => match self.kind {
                PointType::Latitude => angle(text, next, 90.0),
                PointType::Longitude => angle(text, next, 180.0),
                PointType::Text => Some(Value::Text(text.clone().into_owned())),
                PointType::Bool => truth(text).map(Value::Bool),
                PointType::Float | PointType::Int | PointType::Uint => self.of_digits(text),
            },
        }
    }

    fn of_digits(&self, text: &str) -> Option<Value> {
        let whole = text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::UInt));
        let value = whole.or_else(|_| text.parse().map(Value::Float)).ok()?;
        self.fitting(value)
    }

    fn of_json(&self, value: &serde_json::Value) -> Option<Value> {
        use serde_json::Value as Json;
        match (value, self.kind) {
            (Json::Bool(truth), PointType::Bool) => Some(Value::Bool(*truth)),
            (Json::Number(number), PointType::Bool) => truth(&number.to_string()).map(Value::Bool),
            (value, PointType::Text) => Some(Value::Text(value.to_string())),
            (Json::Number(number), _) => self.of_digits(&number.to_string()),
            _ => None,
        }
    }

    fn of_bytes(&self, bytes: &[u8]) -> Option<Value> {
        let unsigned = bytes.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        let unused = u64::BITS.checked_sub(bytes.len() as u32 * 8)?;
        match self.kind {
            PointType::Int if unused < u64::BITS => {
                Some(Value::Int(((unsigned << unused) as i64) >> unused))
            }
            PointType::Uint => self.fitting(Value::UInt(unsigned)),
            PointType::Bool => Some(Value::Bool(unsigned != 0)),
            PointType::Float if bytes.len() == 4 => {
                self.fitting(Value::Float(f64::from(f32::from_bits(unsigned as u32))))
            }
            PointType::Float if bytes.len() == 8 => {
                self.fitting(Value::Float(f64::from_bits(unsigned)))
            }
            _ => None,
        }
    }

    /// The number in the form that the point's type has; `None` if it does not fit.
    fn fitting(&self, value: Value) -> Option<Value> {
        match (self.kind, value) {
            (PointType::Float, value) => {
                number(&value).filter(|float| float.is_finite()).map(Value::Float)
            }
            (PointType::Uint, Value::Int(value)) => (value >= 0).then_some(Value::Int(value)),
            (PointType::Int, Value::Int(value)) => Some(Value::Int(value)),
            (PointType::Uint, Value::UInt(value)) => {
                Some(i64::try_from(value).map_or(Value::UInt(value), Value::Int))
            }
            // A device may write whole numbers as `12.0`.
            (PointType::Int | PointType::Uint, Value::Float(value))
                if value.fract() == 0.0 && value.abs() < WHOLE_FLOAT_MAX =>
            {
                self.fitting(Value::Int(value as i64))
            }
            _ => None,
        }
    }

    fn means_no_value(&self, value: &Value, found: &Found<'_>) -> bool {
        self.invalid.iter().any(|invalid| match (invalid, found) {
            (Value::Text(invalid), Found::Text(text)) => invalid == text,
            (Value::Text(invalid), _) => matches!(value, Value::Text(text) if text == invalid),
            (invalid, _) => {
                invalid == value || number(invalid).is_some_and(|no| number(value) == Some(no))
            }
        })
    }

    fn scaled(&self, value: Value) -> Option<Value> {
        match number(&value) {
            Some(number) if !self.is_plain() => {
                let scaled = number * self.scale + self.offset;
                scaled.is_finite().then(|| Value::Float(rounded(scaled)))
            }
            _ => Some(value),
        }
    }
}

/// Beyond this a float cannot tell one whole number from the next.
const WHOLE_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// The number in a value.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::UInt(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Bool(_) | Value::Text(_) => None,
    }
}

/// The number to 13 significant digits: 305 × 0.1 is 30.5, not 30.500000000000004.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(value)
}

fn angle(text: &str, hemisphere: &Found<'_>, degrees_max: f64) -> Option<Value> {
    let Found::Text(hemisphere) = hemisphere else { return None };
    nmea::degrees(text, hemisphere, degrees_max).map(|degrees| Value::Float(rounded(degrees)))
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Some(true),
        "0" | "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn of(kind: PointType) -> Conversion {
        Conversion { kind, scale: 1.0, offset: 0.0, invalid: vec![], min: None, max: None }
    }

    fn read(conversion: &Conversion, text: &str) -> Option<Value> {
        conversion.value(&Found::Text(Cow::Borrowed(text)), &Found::Missing)
    }

    #[test]
    fn numbers_keep_their_type() {
        assert_eq!(read(&of(PointType::Float), "+10.4"), Some(Value::Float(10.4)));
        assert_eq!(read(&of(PointType::Float), "-5"), Some(Value::Float(-5.0)));
        assert_eq!(read(&of(PointType::Int), "-5"), Some(Value::Int(-5)));
        assert_eq!(read(&of(PointType::Int), "12.0"), Some(Value::Int(12)));
        assert_eq!(read(&of(PointType::Uint), "18446744073709551615"), Some(Value::UInt(u64::MAX)));
        assert_eq!(read(&of(PointType::Bool), "ON"), Some(Value::Bool(true)));
    }

    #[test]
    fn what_is_no_number_of_the_type_is_no_value() {
        for text in ["nan", "inf", "1e999", "--", "1,5", "12 C"] {
            assert_eq!(read(&of(PointType::Float), text), None, "{text}");
        }
        assert_eq!(read(&of(PointType::Int), "1.5"), None);
        assert_eq!(read(&of(PointType::Int), "18446744073709551615"), None);
        assert_eq!(read(&of(PointType::Uint), "-1"), None);
        assert_eq!(read(&of(PointType::Bool), "2"), None);
    }

    #[test]
    fn scale_and_offset_apply_without_artefacts_of_binary_fractions() {
        let tenths = Conversion { scale: 0.1, offset: -40.0, ..of(PointType::Int) };
        assert_eq!(read(&tenths, "705"), Some(Value::Float(30.5)));
        let tenths = Conversion { scale: 0.1, ..of(PointType::Float) };
        assert_eq!(read(&tenths, "305"), Some(Value::Float(30.5)));
    }

    #[test]
    fn an_invalid_mark_is_compared_before_scaling() {
        let marked = Conversion {
            scale: 0.1,
            invalid: vec![Value::Int(32767), Value::Text("///".into()), Value::Float(-99.9)],
            ..of(PointType::Float)
        };
        for text in ["32767", "32767.0", "///", "-99.90"] {
            assert_eq!(read(&marked, text), None, "{text}");
        }
        assert_eq!(read(&marked, "327670"), Some(Value::Float(32767.0)));
    }

    #[test]
    fn a_value_out_of_range_is_not_believed() {
        let humidity = Conversion { min: Some(0.0), max: Some(100.0), ..of(PointType::Float) };
        assert_eq!(read(&humidity, "100"), Some(Value::Float(100.0)));
        assert_eq!(read(&humidity, "100.1"), None);
        assert_eq!(read(&humidity, "-0.1"), None);
    }

    #[test]
    fn bytes_become_numbers_by_type_and_width() {
        let value =
            |kind, bytes: &[u8]| of(kind).value(&Found::Bytes(bytes.to_vec()), &Found::Missing);
        assert_eq!(value(PointType::Int, b"\xFF\x33"), Some(Value::Int(-205)));
        assert_eq!(value(PointType::Uint, b"\xFF\x33"), Some(Value::Int(0xFF33)));
        assert_eq!(value(PointType::Uint, &[0xFF; 8]), Some(Value::UInt(u64::MAX)));
        assert_eq!(value(PointType::Float, &1.5f32.to_be_bytes()), Some(Value::Float(1.5)));
        assert_eq!(value(PointType::Float, &f64::NAN.to_be_bytes()), None);
        assert_eq!(value(PointType::Float, b"\0\0"), None);
        assert_eq!(value(PointType::Bool, b"\x02"), Some(Value::Bool(true)));
    }
}
