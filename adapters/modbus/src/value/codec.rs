//! How one point is read from and written to its registers.

use std::collections::BTreeMap;

use super::{ByteOrder, Kind, Linear};
use crate::config::Number;

/// Everything needed to turn the registers of one point into a value and back.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    pub(crate) kind: Kind,
    pub(crate) order: ByteOrder,
    /// The lowest bit, for a bit in a register and for bitfields.
    pub(crate) bit: u8,
    /// The number of bits of a bitfield.
    pub(crate) width: u8,
    /// The number of bytes of a string.
    pub(crate) bytes: u16,
    pub(crate) linear: Option<Linear>,
    pub(crate) invalid: Vec<Number>,
    pub(crate) names: BTreeMap<i128, String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Codec {
    /// How many registers the point takes.
    pub(crate) fn registers(&self) -> u16 {
        self.kind.registers(self.bytes)
    }

    /// Whether a raw number is the device's sign for "no value". A sentinel may be given as the
    /// number or as its bits: 65535 and −1 are the same for an int16.
    pub(super) fn is_sentinel(&self, raw: i128) -> bool {
        let bits = self.kind.bits();
        let same = |sentinel: i128| {
            sentinel == raw || sentinel == raw.rem_euclid(1 << bits) || {
                sentinel < 0 && sentinel.rem_euclid(1 << bits) == raw
            }
        };
        self.invalid.iter().any(|sentinel| match sentinel {
            Number::Int(sentinel) => same(i128::from(*sentinel)),
            Number::Float(sentinel) => *sentinel == raw as f64,
        })
    }

    pub(super) fn is_float_sentinel(&self, raw: f64) -> bool {
        self.invalid.iter().any(|sentinel| match sentinel {
            Number::Int(sentinel) => *sentinel as f64 == raw,
            // A float32 holds the nearest number to what the manual says.
            Number::Float(sentinel) => *sentinel == raw || f64::from(*sentinel as f32) == raw,
        })
    }
}
