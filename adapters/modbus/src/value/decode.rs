//! From registers to values.

use holdfast_adapter_api::Value;

use super::{Codec, Kind, Linear, half};

/// Why registers give no value to rely on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Undecodable {
    /// What they hold nonetheless, where that helps to find out why.
    pub(crate) raw: Option<Value>,
}

const NO_VALUE: Undecodable = Undecodable { raw: None };

impl Codec {
    /// The value of a point's registers, as received. `by_point` is the scale that another point
    /// holds, and takes the place of the configured one.
    pub(crate) fn decode(
        &self,
        words: &[u16],
        by_point: Option<Linear>,
    ) -> Result<Value, Undecodable> {
        if words.len() != usize::from(self.registers()) {
            return Err(NO_VALUE);
        }
        let words = match self.kind {
            Kind::String => self.order.reorder_text(words),
            _ => self.order.reorder(words),
        };
        let linear = by_point.or(self.linear);
        match self.kind {
            Kind::Bit => Ok(Value::Bool(words[0] >> self.bit & 1 == 1)),
            Kind::String => self.text(&words),
            Kind::Float16 => self.float(half::from_bits(words[0]), linear),
            Kind::Float32 => {
                let single = f32::from_bits(joined(&words) as u32);
                self.float(shortest(single), linear)
            }
            Kind::Float64 => self.float(f64::from_bits(joined(&words)), linear),
            Kind::Bcd16 | Kind::Bcd32 => self.integer(bcd(joined(&words))?, linear),
            _ => self.integer(self.raw_integer(&words), linear),
        }
    }

    fn raw_integer(&self, words: &[u16]) -> i128 {
        let [high, low] = words[0].to_be_bytes();
        let joined = joined(words);
        match self.kind {
            Kind::Int8L => i128::from(low.cast_signed()),
            Kind::Int8H => i128::from(high.cast_signed()),
            Kind::UInt8L => i128::from(low),
            Kind::UInt8H => i128::from(high),
            Kind::Bitfield => i128::from(words[0] >> self.bit) & ((1 << self.width) - 1),
            Kind::Int16 => i128::from(words[0].cast_signed()),
            Kind::Int32 => i128::from((joined as u32).cast_signed()),
            Kind::Int64 => i128::from(joined.cast_signed()),
            _ => i128::from(joined),
        }
    }

    fn integer(&self, raw: i128, linear: Option<Linear>) -> Result<Value, Undecodable> {
        if self.is_sentinel(raw) {
            return Err(NO_VALUE);
        }
        if !self.names.is_empty() {
            let name = self.names.get(&raw).cloned().map(Value::Text);
            return name.ok_or(Undecodable { raw: Some(whole(raw)) });
        }
        Ok(match linear {
            Some(linear) => Value::Float(linear.of_integer(raw as f64)),
            None => whole(raw),
        })
    }

    fn float(&self, raw: f64, linear: Option<Linear>) -> Result<Value, Undecodable> {
        let value = linear.map_or(raw, |linear| linear.of_float(raw));
        if self.is_float_sentinel(raw) || !value.is_finite() {
            return Err(NO_VALUE);
        }
        Ok(Value::Float(value))
    }

    fn text(&self, words: &[u16]) -> Result<Value, Undecodable> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.truncate(usize::from(self.bytes));
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        bytes.truncate(end);
        let text = String::from_utf8(bytes).map_err(|_| NO_VALUE)?;
        Ok(Value::Text(text.trim_end().to_owned()))
    }
}

/// Up to four registers as one number, the first being the most significant.
fn joined(words: &[u16]) -> u64 {
    words.iter().fold(0, |joined, word| joined << 16 | u64::from(*word))
}

fn whole(raw: i128) -> Value {
    i64::try_from(raw).map_or_else(|_| Value::UInt(raw as u64), Value::Int)
}

fn bcd(packed: u64) -> Result<i128, Undecodable> {
    (0..8).rev().map(|digit| packed >> (4 * digit) & 0xF).try_fold(0, |number, digit| {
        if digit > 9 { Err(NO_VALUE) } else { Ok(number * 10 + i128::from(digit)) }
    })
}

/// The shortest decimal that means this float32: 230.1 rather than 230.10000610351562.
fn shortest(single: f32) -> f64 {
    single.to_string().parse().unwrap_or_else(|_| f64::from(single))
}
