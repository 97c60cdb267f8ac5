//! One value of a device: `[[modbus.device.point]]`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    plan::Table,
    value::{ByteOrder, Kind},
};

/// One value of a device.
#[derive(Debug, Clone, Deserialize)]
pub struct Point {
    /// The point's name, unique in its device.
    pub name: String,
    /// Where it lies.
    #[serde(default)]
    pub table: Table,
    /// Its first register, counted from the device's `address_base`.
    pub address: u32,
    /// What the registers hold. `uint16` unless said otherwise; always `bit` for coils and
    /// discrete inputs.
    #[serde(rename = "type")]
    pub kind: Option<Kind>,
    /// The order of bytes and registers.
    pub byte_order: Option<ByteOrder>,
    /// The value is raw × scale + offset.
    pub scale: Option<f64>,
    /// The value is raw × scale + offset.
    pub offset: Option<f64>,
    /// The name of another point of this device that holds a power of ten to scale with
    /// (SunSpec's scale factors).
    pub scale_point: Option<String>,
    /// The unit of the value: `°C`.
    pub unit: Option<String>,
    /// Raw values by which the device says that it has none, before scale and offset.
    #[serde(default)]
    pub invalid: Vec<Number>,
    /// For `bit` in a register and `bitfield`: the lowest bit, 0 to 15.
    pub bit: Option<u8>,
    /// For `string`: the number of bytes. For `bitfield`: the number of bits.
    pub length: Option<u16>,
    /// Names for raw values: `{ "0" = "off", "1" = "on" }`.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Whether commands may write it.
    #[serde(default)]
    pub writable: bool,
    /// The least value a command may write.
    pub min: Option<f64>,
    /// The greatest value a command may write.
    pub max: Option<f64>,
}

/// A whole number or a decimal one.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A decimal number.
    Float(f64),
}
