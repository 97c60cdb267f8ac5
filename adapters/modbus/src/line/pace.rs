//! How long things take on a serial line.

use std::time::Duration;

/// Above this rate the gap between frames is fixed (Modbus over Serial Line 1.02, 2.5.1.1).
const FIXED_GAP_BAUD: u32 = 19_200;

/// The fixed gap.
const FIXED_GAP: Duration = Duration::from_micros(1_750);

/// The speed of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    character: Duration,
    gap: Duration,
}

impl Pace {
    /// The pace of a serial line, whose characters have `bits` bits, start and stop included.
    pub(crate) fn serial(baud: u32, bits: u32) -> Self {
        let character = Duration::from_secs(1) * bits / baud.max(1);
        let gap = if baud > FIXED_GAP_BAUD { FIXED_GAP } else { character * 7 / 2 };
        Self { character, gap }
    }

    /// No time at all: a network.
    pub(crate) fn network() -> Self {
        Self { character: Duration::ZERO, gap: Duration::ZERO }
    }

    /// The silence between two frames, t3.5.
    pub(crate) fn gap(self) -> Duration {
        self.gap
    }

    /// How long so many bytes take on the wire.
    pub(crate) fn on_wire(self, bytes: usize) -> Duration {
        self.character * bytes as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_three_and_a_half_characters_up_to_19200_baud_and_fixed_above() {
        let slow = Pace::serial(9_600, 10);
        assert_eq!(slow.gap().as_micros(), 3_645);
        assert_eq!(slow.on_wire(8).as_micros(), 8_333);
        assert_eq!(Pace::serial(19_200, 11).gap().as_micros(), 2_005);
        assert_eq!(Pace::serial(115_200, 11).gap(), FIXED_GAP);
    }
}
