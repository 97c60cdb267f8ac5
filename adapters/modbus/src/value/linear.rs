//! Scale and offset.

/// The most decimal places that a value is rounded to.
const DECIMALS_MAX: usize = 9;

/// The greatest whole number up to which every whole number has a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// value = raw × scale + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Linear {
    scale: f64,
    offset: f64,
    /// The decimal places that scale and offset have, if few: 0.1 × 305 is then 30.5 and not
    /// 30.500000000000004.
    decimals: Option<usize>,
}

impl Linear {
    /// `scale` must be finite and not zero, `offset` finite.
    pub(crate) fn new(scale: f64, offset: f64) -> Self {
        let decimals = decimals(scale).max(decimals(offset));
        Self { scale, offset, decimals: (decimals <= DECIMALS_MAX).then_some(decimals) }
    }

    /// A power of ten, as SunSpec scales.
    pub(crate) fn power_of_ten(exponent: i16) -> Self {
        let scale = 10_f64.powi(i32::from(exponent));
        let decimals = usize::from(exponent.min(0).unsigned_abs());
        Self { scale, offset: 0.0, decimals: (decimals <= DECIMALS_MAX).then_some(decimals) }
    }

    /// The value of a raw whole number.
    pub(super) fn of_integer(&self, raw: f64) -> f64 {
        let value = self.of_float(raw);
        let Some(decimals) = self.decimals else { return value };
        let shift = 10_f64.powi(decimals as i32);
        let shifted = (value * shift).round();
        if shifted.abs() < EXACT_MAX { shifted / shift } else { value }
    }

    /// The value of a raw float.
    pub(super) fn of_float(&self, raw: f64) -> f64 {
        raw.mul_add(self.scale, self.offset)
    }

    /// The raw number of a value, before rounding.
    pub(super) fn inverse(&self, value: f64) -> f64 {
        (value - self.offset) / self.scale
    }
}

fn decimals(number: f64) -> usize {
    // The shortest text that means this float: what its author wrote, trailing zeros aside.
    format!("{number}").split_once('.').map_or(0, |(_, places)| places.len())
}
