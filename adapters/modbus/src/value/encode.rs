//! From values to registers.

use holdfast_adapter_api::Value;
use thiserror::Error;

use super::{Codec, Kind, half};

/// Why a value cannot be written to a point. All of these are permanent.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum EncodeError {
    #[error("it takes {expected}, not {value:?}")]
    Type { expected: &'static str, value: Value },
    #[error("{value} is below its minimum of {min}")]
    BelowMin { value: f64, min: f64 },
    #[error("{value} is above its maximum of {max}")]
    AboveMax { value: f64, max: f64 },
    #[error("{value} does not fit its type")]
    Range { value: f64 },
    #[error("{value} has a fraction, and the point holds whole numbers")]
    Fraction { value: f64 },
    #[error("{value} is its sign for \"no value\"")]
    Sentinel { value: f64 },
    #[error("{0:?} is none of its values")]
    UnknownName(String),
    #[error("the text has {actual} bytes and the point holds {max}")]
    TooLong { actual: usize, max: u16 },
}

/// What is to be written to a holding register or coil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// One coil.
    Coil(bool),
    /// Whole registers, as they go on the wire.
    Words(Vec<u16>),
    /// Some bits of one register: those in `mask` become those in `bits`.
    Bits { mask: u16, bits: u16 },
}

impl Codec {
    /// What to write for a value. `coil` says that the point is a coil.
    pub(crate) fn encode(&self, value: &Value, coil: bool) -> Result<Write, EncodeError> {
        if self.kind == Kind::Bit {
            let bit = truth(value)?;
            return Ok(if coil { Write::Coil(bit) } else { self.bits(1, u16::from(bit)) });
        }
        if self.kind == Kind::String {
            return self.string(value);
        }
        if !self.kind.is_integer() {
            return self.floating(value);
        }
        let raw = self.raw(value)?;
        Ok(match self.kind {
            Kind::Int8L | Kind::UInt8L => self.shifted(0xFF, 0, raw),
            Kind::Int8H | Kind::UInt8H => self.shifted(0xFF, 8, raw),
            Kind::Bitfield if self.width < 16 => self.shifted((1 << self.width) - 1, self.bit, raw),
            Kind::Bcd16 | Kind::Bcd32 => self.words(to_bcd(raw)),
            _ => self.words(raw as u64),
        })
    }

    fn string(&self, value: &Value) -> Result<Write, EncodeError> {
        let Value::Text(text) = value else {
            return Err(EncodeError::Type { expected: "text", value: value.clone() });
        };
        if text.len() > usize::from(self.bytes) {
            return Err(EncodeError::TooLong { actual: text.len(), max: self.bytes });
        }
        let mut bytes = text.clone().into_bytes();
        bytes.resize(usize::from(self.registers()) * 2, 0);
        let words: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        Ok(Write::Words(self.order.reorder_text(&words)))
    }

    fn floating(&self, value: &Value) -> Result<Write, EncodeError> {
        let value = self.bounded(value)?;
        let raw = self.linear.map_or(value, |linear| linear.inverse(value));
        let unfit = EncodeError::Range { value };
        let bits = match self.kind {
            Kind::Float16 => u64::from(half::to_bits(raw).ok_or(unfit)?),
            Kind::Float32 if (raw as f32).is_finite() => u64::from((raw as f32).to_bits()),
            Kind::Float64 if raw.is_finite() => raw.to_bits(),
            _ => return Err(unfit),
        };
        if self.is_float_sentinel(raw) {
            return Err(EncodeError::Sentinel { value });
        }
        Ok(self.words(bits))
    }

    /// The raw whole number of a value.
    fn raw(&self, value: &Value) -> Result<i128, EncodeError> {
        let (raw, shown) = match value {
            Value::Text(name) if !self.names.is_empty() => (self.named(name)?, 0.0),
            Value::Int(_) | Value::UInt(_) if self.linear.is_none() => {
                let shown = self.bounded(value)?;
                (exact(value).unwrap_or_default(), shown)
            }
            _ => {
                let shown = self.bounded(value)?;
                let raw = match self.linear {
                    Some(linear) => linear.inverse(shown).round(),
                    None if shown.fract() != 0.0 => {
                        return Err(EncodeError::Fraction { value: shown });
                    }
                    None => shown,
                };
                (raw as i128, shown)
            }
        };
        if !self.names.is_empty() && !self.names.contains_key(&raw) {
            return Err(EncodeError::UnknownName(raw.to_string()));
        }
        match self.kind.range(self.width) {
            Some((least, greatest)) if (least..=greatest).contains(&raw) => {}
            _ => return Err(EncodeError::Range { value: shown }),
        }
        if self.is_sentinel(raw) {
            return Err(EncodeError::Sentinel { value: shown });
        }
        Ok(raw)
    }

    /// The number in a value, if it is one and within the configured bounds.
    fn bounded(&self, value: &Value) -> Result<f64, EncodeError> {
        let number = match value {
            Value::Int(number) => *number as f64,
            Value::UInt(number) => *number as f64,
            Value::Float(number) if number.is_finite() => *number,
            other => return Err(EncodeError::Type { expected: "a number", value: other.clone() }),
        };
        if let Some(min) = self.min.filter(|min| number < *min) {
            return Err(EncodeError::BelowMin { value: number, min });
        }
        if let Some(max) = self.max.filter(|max| number > *max) {
            return Err(EncodeError::AboveMax { value: number, max });
        }
        Ok(number)
    }

    fn named(&self, name: &str) -> Result<i128, EncodeError> {
        let found = self.names.iter().find(|(_, known)| *known == name);
        found.map(|(raw, _)| *raw).ok_or_else(|| EncodeError::UnknownName(name.to_owned()))
    }

    fn shifted(&self, mask: u16, shift: u8, raw: i128) -> Write {
        let swap = |word: u16| if self.order.swaps_bytes() { word.swap_bytes() } else { word };
        Write::Bits { mask: swap(mask << shift), bits: swap((raw as u16 & mask) << shift) }
    }

    fn bits(&self, mask: u16, bits: u16) -> Write {
        self.shifted(mask, self.bit, i128::from(bits))
    }

    fn words(&self, bits: u64) -> Write {
        let count = u32::from(self.registers());
        let words: Vec<u16> = (0..count).rev().map(|word| (bits >> (16 * word)) as u16).collect();
        Write::Words(self.order.reorder(&words))
    }
}

fn truth(value: &Value) -> Result<bool, EncodeError> {
    match value {
        Value::Bool(bit) => Ok(*bit),
        Value::Int(number @ (0 | 1)) => Ok(*number == 1),
        other => Err(EncodeError::Type { expected: "true or false", value: other.clone() }),
    }
}

fn exact(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::UInt(number) => Some(i128::from(*number)),
        _ => None,
    }
}

fn to_bcd(number: i128) -> u64 {
    let digit = |place: u32| (number / 10_i128.pow(place) % 10) as u64;
    (0..8).fold(0, |packed, place| packed | digit(place) << (4 * place))
}
