//! Writes: from a command's value to the bytes that go to the device.

use holdfast_adapter_api::Value;

use crate::{
    config::PointType,
    decode::{Conversion, number, rounded},
};

/// The longest text that is written.
const TEXT_BYTES_MAX: usize = 256;

/// How one point is written.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The point's name.
    pub point: String,
    /// What goes before the value,
    pub before: Vec<u8>,
    /// and what after it.
    pub after: Vec<u8>,
    /// What the device's answer contains, if it answers.
    pub answer: Option<Vec<u8>>,
    /// The point's type, range, scale and offset.
    pub conversion: Conversion,
}

impl Writer {
    /// The bytes that write `value`, or why it cannot be written.
    pub fn bytes(&self, value: &Value) -> Result<Vec<u8>, String> {
        let text = self.text(value)?;
        Ok([&self.before[..], text.as_bytes(), &self.after[..]].concat())
    }

    fn text(&self, value: &Value) -> Result<String, String> {
        match (self.conversion.kind, value) {
            (PointType::Text, Value::Text(text)) => {
                // A line end within a value would start a second command.
                if text.len() > TEXT_BYTES_MAX || text.contains(char::is_control) {
                    let max = TEXT_BYTES_MAX;
                    return Err(format!(
                        "a text is at most {max} bytes without control characters"
                    ));
                }
                Ok(text.clone())
            }
            (PointType::Bool, Value::Bool(truth)) => Ok(u8::from(*truth).to_string()),
            (PointType::Float | PointType::Int | PointType::Uint, value) => {
                let number = number(value)
                    .filter(|number| number.is_finite())
                    .ok_or_else(|| format!("'{}' takes a number", self.point))?;
                if !self.conversion.believes(number) {
                    return Err(format!("{number} is out of the range of '{}'", self.point));
                }
                self.digits(value, number)
            }
            (kind, _) => Err(format!("'{}' does not take this, but {kind:?}", self.point)),
        }
    }

    /// The number as the device has it: before scale and offset.
    fn digits(&self, value: &Value, number: f64) -> Result<String, String> {
        let Conversion { kind, scale, offset, .. } = self.conversion;
        let raw = if self.conversion.is_plain() {
            match value {
                Value::Int(value) if kind != PointType::Uint || *value >= 0 => {
                    return Ok(value.to_string());
                }
                Value::UInt(value) if kind != PointType::Int => return Ok(value.to_string()),
                _ => number,
            }
        } else {
            rounded((number - offset) / scale)
        };
        match kind {
            PointType::Float => Ok(raw.to_string()),
            _ if raw.fract() != 0.0 => {
                Err(format!("'{}' takes steps of {} only", self.point, scale.abs()))
            }
            PointType::Uint if !(0.0..=u64::MAX as f64).contains(&raw) => {
                Err(format!("'{}' takes no negative number", self.point))
            }
            _ if raw.abs() > i64::MAX as f64 => {
                Err(format!("{number} is too large for '{}'", self.point))
            }
            _ => Ok(format!("{raw:.0}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(kind: PointType, scale: f64, offset: f64) -> Writer {
        Writer {
            point: "setpoint".to_owned(),
            before: b"SET ".to_vec(),
            after: b"\r\n".to_vec(),
            answer: None,
            conversion: Conversion {
                kind,
                scale,
                offset,
                invalid: vec![],
                min: Some(-10.0),
                max: Some(50.0),
            },
        }
    }

    #[test]
    fn a_value_goes_into_the_template_as_the_device_has_it() {
        let cases = [
            (PointType::Float, 1.0, 0.0, Value::Float(21.5), "21.5"),
            (PointType::Float, 1.0, 0.0, Value::Int(21), "21"),
            (PointType::Int, 0.1, -40.0, Value::Float(30.5), "705"),
            (PointType::Int, 1.0, 0.0, Value::Float(-7.0), "-7"),
            (PointType::Bool, 1.0, 0.0, Value::Bool(true), "1"),
            (PointType::Text, 1.0, 0.0, Value::Text("auto".into()), "auto"),
        ];
        for (kind, scale, offset, value, due) in cases {
            let bytes = writer(kind, scale, offset).bytes(&value).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), format!("SET {due}\r\n"));
        }
    }

    #[test]
    fn what_does_not_fit_the_point_is_refused() {
        let cases = [
            (PointType::Float, 1.0, Value::Float(50.1)),
            (PointType::Float, 1.0, Value::Float(f64::NAN)),
            (PointType::Float, 1.0, Value::Text("1".into())),
            (PointType::Int, 1.0, Value::Float(1.5)),
            (PointType::Int, 0.1, Value::Float(1.55)),
            (PointType::Uint, 1.0, Value::Int(-1)),
            (PointType::Bool, 1.0, Value::Int(1)),
            (PointType::Text, 1.0, Value::Text("x\r\nRESET".into())),
            (PointType::Text, 1.0, Value::Text("x".repeat(257))),
        ];
        for (kind, scale, value) in cases {
            assert!(writer(kind, scale, 0.0).bytes(&value).is_err(), "{kind:?} {value:?}");
        }
    }
}
