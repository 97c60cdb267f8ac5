//! The types a point can have.

use serde::Deserialize;

/// What the registers of a point hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A coil, a discrete input, or one bit of a register.
    Bit,
    /// Several bits of one register, as an unsigned number.
    Bitfield,
    /// The low byte of a register, signed.
    Int8L,
    /// The high byte of a register, signed.
    Int8H,
    /// The low byte of a register.
    UInt8L,
    /// The high byte of a register.
    UInt8H,
    /// One register, signed.
    Int16,
    /// One register.
    UInt16,
    /// Two registers, signed.
    Int32,
    /// Two registers.
    UInt32,
    /// Four registers, signed.
    Int64,
    /// Four registers.
    UInt64,
    /// One register, IEEE 754 half precision.
    Float16,
    /// Two registers, IEEE 754 single precision.
    Float32,
    /// Four registers, IEEE 754 double precision.
    Float64,
    /// One register of four decimal digits.
    Bcd16,
    /// Two registers of eight decimal digits.
    Bcd32,
    /// Text, two bytes to a register, ended by a NUL or by its length.
    String,
}

impl Kind {
    /// How many registers it takes; `bytes` is the length of a string.
    pub(crate) fn registers(self, bytes: u16) -> u16 {
        match self {
            Self::Int32 | Self::UInt32 | Self::Float32 | Self::Bcd32 => 2,
            Self::Int64 | Self::UInt64 | Self::Float64 => 4,
            Self::String => bytes.div_ceil(2),
            _ => 1,
        }
    }

    /// How many bits of its registers are the value's.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Bit => 1,
            Self::Int8L | Self::Int8H | Self::UInt8L | Self::UInt8H => 8,
            kind => 16 * u32::from(kind.registers(0)),
        }
    }

    /// Whether it is read as a whole number.
    pub(crate) fn is_integer(self) -> bool {
        !matches!(self, Self::Bit | Self::String | Self::Float16 | Self::Float32 | Self::Float64)
    }

    /// The least and the greatest raw value, for whole numbers; `width` is that of a bitfield.
    pub(crate) fn range(self, width: u8) -> Option<(i128, i128)> {
        let signed = |bits: u32| (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
        let unsigned = |bits: u32| (0, (1_i128 << bits) - 1);
        Some(match self {
            Self::Int8L | Self::Int8H => signed(8),
            Self::UInt8L | Self::UInt8H => unsigned(8),
            Self::Bitfield => unsigned(u32::from(width)),
            Self::Int16 => signed(16),
            Self::UInt16 => unsigned(16),
            Self::Int32 => signed(32),
            Self::UInt32 => unsigned(32),
            Self::Int64 => signed(64),
            Self::UInt64 => unsigned(64),
            Self::Bcd16 => (0, 9_999),
            Self::Bcd32 => (0, 99_999_999),
            Self::Bit | Self::String | Self::Float16 | Self::Float32 | Self::Float64 => {
                return None;
            }
        })
    }
}
