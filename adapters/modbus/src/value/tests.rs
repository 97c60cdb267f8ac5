use std::collections::BTreeMap;

use holdfast_adapter_api::Value;
use proptest::prelude::*;

use super::{decode::Undecodable, encode::EncodeError, *};
use crate::config::Number;

/// A point of this type and nothing more.
fn plain(kind: Kind) -> Codec {
    Codec {
        kind,
        order: ByteOrder::default(),
        bit: 0,
        width: 16,
        bytes: 0,
        linear: None,
        invalid: Vec::new(),
        names: BTreeMap::new(),
        min: None,
        max: None,
    }
}

fn scaled(kind: Kind, scale: f64, offset: f64) -> Codec {
    Codec { linear: Some(Linear::new(scale, offset)), ..plain(kind) }
}

fn ordered(kind: Kind, order: ByteOrder) -> Codec {
    Codec { order, ..plain(kind) }
}

fn decode(codec: &Codec, words: &[u16]) -> Value {
    codec.decode(words, None).unwrap()
}

fn is_no_value(codec: &Codec, words: &[u16]) -> bool {
    codec.decode(words, None) == Err(Undecodable { raw: None })
}

fn words(codec: &Codec, value: &Value) -> Vec<u16> {
    match codec.encode(value, false) {
        Ok(Write::Words(words)) => words,
        other => panic!("{value:?}: {other:?}"),
    }
}

const ORDERS: [ByteOrder; 4] = [ByteOrder::Abcd, ByteOrder::Dcba, ByteOrder::Badc, ByteOrder::Cdab];

#[test]
fn the_thermometers_registers_read_as_its_manual_says() {
    let tenths = scaled(Kind::Int16, 0.1, 0.0);
    assert_eq!(decode(&tenths, &[0x0131]), Value::Float(30.5));
    assert_eq!(decode(&tenths, &[0x0222]), Value::Float(54.6));
    assert_eq!(decode(&tenths, &[0xFF33]), Value::Float(-20.5));
}

#[test]
fn the_weather_stations_temperature_has_scale_offset_and_sentinel() {
    let codec = Codec { invalid: vec![Number::Int(0xFFFF)], ..scaled(Kind::UInt16, 0.1, -40.0) };
    assert_eq!(decode(&codec, &[611]), Value::Float(21.1));
    assert_eq!(decode(&codec, &[0]), Value::Float(-40.0));
    assert!(is_no_value(&codec, &[0xFFFF]));
}

#[test]
fn a_sentinel_is_recognised_as_number_and_as_bits() {
    let with = |kind, sentinel| Codec { invalid: vec![Number::Int(sentinel)], ..plain(kind) };
    assert!(is_no_value(&with(Kind::Int16, 32_767), &[0x7FFF]));
    assert!(is_no_value(&with(Kind::Int16, 0xFFFF), &[0xFFFF]));
    assert!(is_no_value(&with(Kind::Int16, -1), &[0xFFFF]));
    assert!(is_no_value(&with(Kind::UInt16, -1), &[0xFFFF]));
    assert!(is_no_value(&with(Kind::UInt64, -1), &[0xFFFF; 4]));
    assert!(is_no_value(&with(Kind::Float32, -999), &[0xC479, 0xC000]));
    assert!(!is_no_value(&with(Kind::Int16, 0xFFFF), &[0xFFFE]));
}

#[test]
fn a_float_that_is_not_finite_is_no_value() {
    assert!(is_no_value(&plain(Kind::Float32), &[0x7FC0, 0]));
    assert!(is_no_value(&plain(Kind::Float32), &[0x7F80, 0]));
    assert!(is_no_value(&plain(Kind::Float16), &[0x7C00]));
    assert!(is_no_value(&plain(Kind::Float64), &[0x7FF8, 0, 0, 0]));
}

#[test]
fn the_four_byte_orders_of_one_float_are_told_apart() {
    // 123456.0 is 0x47F12000.
    let registers = [[0x47F1, 0x2000], [0x0020, 0xF147], [0xF147, 0x0020], [0x2000, 0x47F1]];
    for (order, registers) in ORDERS.into_iter().zip(registers) {
        let codec = ordered(Kind::Float32, order);
        assert_eq!(decode(&codec, &registers), Value::Float(123_456.0), "{order:?}");
        assert_eq!(words(&codec, &Value::Float(123_456.0)), registers, "{order:?}");
    }
}

#[test]
fn the_four_byte_orders_hold_for_one_and_four_registers() {
    let long = 0x0102_0304_0506_0708_i64;
    let registers = [
        [0x0102, 0x0304, 0x0506, 0x0708],
        [0x0807, 0x0605, 0x0403, 0x0201],
        [0x0201, 0x0403, 0x0605, 0x0807],
        [0x0708, 0x0506, 0x0304, 0x0102],
    ];
    for (order, registers) in ORDERS.into_iter().zip(registers) {
        assert_eq!(decode(&ordered(Kind::Int64, order), &registers), Value::Int(long));
        let short = if order.swaps_bytes() { 0x0201 } else { 0x0102 };
        assert_eq!(decode(&ordered(Kind::UInt16, order), &[0x0102]), Value::Int(short));
    }
}

#[test]
fn every_type_reads_its_own_registers() {
    for (kind, registers, value) in [
        (Kind::Int8L, &[0x12FE][..], Value::Int(-2)),
        (Kind::Int8H, &[0xFE12], Value::Int(-2)),
        (Kind::UInt8L, &[0x12FE], Value::Int(254)),
        (Kind::UInt8H, &[0xFE12], Value::Int(254)),
        (Kind::Int16, &[0x8000], Value::Int(-32_768)),
        (Kind::UInt16, &[0x8000], Value::Int(32_768)),
        (Kind::Int32, &[0xFFFF, 0xFFFE], Value::Int(-2)),
        (Kind::UInt32, &[0xFFFF, 0xFFFE], Value::Int(4_294_967_294)),
        (Kind::Int64, &[0xFFFF; 4], Value::Int(-1)),
        (Kind::UInt64, &[0xFFFF; 4], Value::UInt(u64::MAX)),
        (Kind::Float16, &[0x3E00], Value::Float(1.5)),
        (Kind::Float16, &[0x0001], Value::Float(2_f64.powi(-24))),
        (Kind::Float16, &[0xFBFF], Value::Float(-65_504.0)),
        (Kind::Float32, &[0x4366, 0x199A], Value::Float(230.1)),
        (Kind::Float64, &[0x4009, 0x21FB, 0x5444, 0x2D18], Value::Float(std::f64::consts::PI)),
        (Kind::Bcd16, &[0x1234], Value::Int(1_234)),
        (Kind::Bcd32, &[0x1234, 0x5678], Value::Int(12_345_678)),
    ] {
        assert_eq!(decode(&plain(kind), registers), value, "{kind:?}");
    }
}

#[test]
fn a_digit_beyond_nine_is_no_value() {
    assert!(is_no_value(&plain(Kind::Bcd16), &[0x12A4]));
}

#[test]
fn bits_and_bitfields_are_cut_out_of_their_register() {
    let bit = Codec { bit: 3, ..plain(Kind::Bit) };
    assert_eq!(decode(&bit, &[0b1000]), Value::Bool(true));
    assert_eq!(decode(&bit, &[!0b1000]), Value::Bool(false));
    let field = Codec { bit: 4, width: 3, ..plain(Kind::Bitfield) };
    assert_eq!(decode(&field, &[0xFFDF]), Value::Int(5));
    assert_eq!(
        field.encode(&Value::Int(2), false),
        Ok(Write::Bits { mask: 0b111_0000, bits: 0b010_0000 })
    );
    let swapped = Codec { bit: 0, order: ByteOrder::Badc, ..plain(Kind::Bit) };
    assert_eq!(decode(&swapped, &[0x0100]), Value::Bool(true));
    assert_eq!(
        swapped.encode(&Value::Bool(true), false),
        Ok(Write::Bits { mask: 0x0100, bits: 0x0100 })
    );
}

#[test]
fn text_ends_at_a_nul_or_at_its_length_and_must_be_utf8() {
    let text = |bytes, order| Codec { order, bytes, ..plain(Kind::String) };
    let abc = text(5, ByteOrder::Abcd);
    assert_eq!(decode(&abc, &[0x4142, 0x4300, 0x4141]), Value::Text("ABC".into()));
    assert_eq!(decode(&abc, &[0x4142, 0x4320, 0x2041]), Value::Text("ABC".into()));
    assert!(is_no_value(&abc, &[0xFFFF, 0xFFFF, 0xFFFF]));
    let swapped = text(4, ByteOrder::Badc);
    assert_eq!(decode(&swapped, &[0x4241, 0x4443]), Value::Text("ABCD".into()));
    assert_eq!(words(&swapped, &Value::Text("ABCD".into())), [0x4241, 0x4443]);
}

#[test]
fn a_value_without_a_name_is_given_raw_and_not_as_good() {
    let names = BTreeMap::from([(0, "off".to_owned()), (1, "on".to_owned())]);
    let codec = Codec { names, ..plain(Kind::UInt16) };
    assert_eq!(decode(&codec, &[1]), Value::Text("on".into()));
    assert_eq!(codec.decode(&[7], None), Err(Undecodable { raw: Some(Value::Int(7)) }));
    assert_eq!(words(&codec, &Value::Text("off".into())), [0]);
    assert!(matches!(
        codec.encode(&Value::Text("maybe".into()), false),
        Err(EncodeError::UnknownName(_))
    ));
}

#[test]
fn a_scale_from_another_point_takes_the_place_of_the_own() {
    let codec = plain(Kind::Int16);
    let value = |exponent| codec.decode(&[2_301], Some(Linear::power_of_ten(exponent))).unwrap();
    assert_eq!(value(-1), Value::Float(230.1));
    assert_eq!(value(-3), Value::Float(2.301));
    assert_eq!(value(2), Value::Float(230_100.0));
}

#[test]
fn a_value_beyond_bounds_or_equal_to_a_sentinel_is_not_written() {
    let codec = Codec {
        min: Some(0.0),
        max: Some(40.0),
        invalid: vec![Number::Int(300)],
        ..scaled(Kind::Int16, 0.1, 0.0)
    };
    assert_eq!(words(&codec, &Value::Float(21.54)), [215]);
    assert_eq!(words(&codec, &Value::Int(4)), [40]);
    let error = |value| codec.encode(&value, false).unwrap_err();
    assert!(matches!(error(Value::Float(-0.1)), EncodeError::BelowMin { .. }));
    assert!(matches!(error(Value::Float(40.1)), EncodeError::AboveMax { .. }));
    assert!(matches!(error(Value::Float(30.0)), EncodeError::Sentinel { .. }));
    assert!(matches!(error(Value::Bool(true)), EncodeError::Type { .. }));
}

#[test]
fn registers_of_another_count_than_the_types_are_no_value() {
    assert!(is_no_value(&plain(Kind::Int32), &[1]));
    assert!(is_no_value(&plain(Kind::UInt16), &[]));
}

fn kinds() -> impl Strategy<Value = (Kind, ByteOrder)> {
    let kinds = [
        Kind::Int16,
        Kind::UInt16,
        Kind::Int32,
        Kind::UInt32,
        Kind::Int64,
        Kind::UInt64,
        Kind::Float16,
        Kind::Float32,
        Kind::Float64,
        Kind::Bcd16,
        Kind::Bcd32,
    ];
    (prop::sample::select(kinds.to_vec()), prop::sample::select(ORDERS.to_vec()))
}

proptest! {
    #[test]
    fn what_is_decoded_encodes_to_the_same_registers(
        (kind, order) in kinds(),
        registers in prop::array::uniform4(any::<u16>()),
    ) {
        let codec = ordered(kind, order);
        let registers = &registers[..usize::from(codec.registers())];
        if let Ok(value) = codec.decode(registers, None) {
            prop_assert_eq!(words(&codec, &value), registers);
        }
    }

    #[test]
    fn a_scaled_register_survives_the_way_to_its_value_and_back(
        raw in any::<u16>(),
        decimals in 0_i32..6,
        offset in -1_000_i32..1_000,
    ) {
        let scale = 10_f64.powi(-decimals);
        let codec = scaled(Kind::UInt16, scale, f64::from(offset) / 10.0);
        let value = codec.decode(&[raw], None).unwrap();
        prop_assert_eq!(words(&codec, &value), [raw]);
    }

    #[test]
    fn a_scaled_value_has_no_more_decimals_than_its_scale(raw in any::<i16>()) {
        let codec = scaled(Kind::Int16, 0.1, -40.0);
        let Value::Float(value) = codec.decode(&[raw as u16], None).unwrap() else {
            panic!("not a float")
        };
        let text = format!("{value}");
        let places = text.split_once('.').map_or(0, |(_, places)| places.len());
        prop_assert!(places <= 1, "{}", text);
    }

    #[test]
    fn any_half_float_survives_the_way_there_and_back(bits in any::<u16>()) {
        let value = half::from_bits(bits);
        if value.is_finite() {
            prop_assert_eq!(half::to_bits(value), Some(bits));
        }
    }
}
