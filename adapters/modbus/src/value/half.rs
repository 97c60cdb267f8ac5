//! IEEE 754 half precision, which the language does not have.

const EXPONENT_BIAS: i32 = 15;
const MANTISSA_BITS: i32 = 10;

/// The number that 16 bits stand for.
pub(super) fn from_bits(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> MANTISSA_BITS) & 0x1F);
    let mantissa = f64::from(bits & 0x03FF);
    let magnitude = match exponent {
        0 => mantissa * exp2(1 - EXPONENT_BIAS - MANTISSA_BITS),
        0x1F if mantissa == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        _ => (mantissa + 1024.0) * exp2(exponent - EXPONENT_BIAS - MANTISSA_BITS),
    };
    sign * magnitude
}

/// The 16 bits nearest to a number; `None` if it is not finite or too great.
pub(super) fn to_bits(value: f64) -> Option<u16> {
    if !value.is_finite() {
        return None;
    }
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let magnitude = value.abs();
    // Below the least normal number the spacing no longer shrinks.
    let exponent = if magnitude < exp2(1 - EXPONENT_BIAS) {
        1 - EXPONENT_BIAS
    } else {
        (magnitude.to_bits() >> 52) as i32 - 1023
    };
    let steps = (magnitude / exp2(exponent - MANTISSA_BITS)).round_ties_even();
    // Counting steps on from the exponent's start carries into the exponent by itself.
    let bits = i64::from(exponent + EXPONENT_BIAS - 1) * 1024 + steps as i64;
    (bits < 0x7C00).then_some(sign | bits as u16)
}

fn exp2(exponent: i32) -> f64 {
    f64::from(exponent).exp2()
}
