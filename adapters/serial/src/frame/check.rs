//! The proof at the end of a frame.

use crate::config::Check;

impl Check {
    /// How many bytes it takes.
    pub fn width(self) -> usize {
        match self {
            Self::None => 0,
            Self::Sum8 | Self::Xor8 => 1,
            Self::Sum16 | Self::Crc16Modbus => 2,
        }
    }

    /// What `frame` says without its proof; `None` if the proof is wrong or missing.
    pub fn proven(self, frame: &[u8]) -> Option<&[u8]> {
        let (body, proof) = frame.split_at_checked(frame.len().checked_sub(self.width())?)?;
        let right = match self {
            Self::None => true,
            Self::Sum8 => proof == [body.iter().fold(0u8, |sum, &b| sum.wrapping_add(b))],
            Self::Xor8 => proof == [body.iter().fold(0u8, |xor, &b| xor ^ b)],
            Self::Sum16 => proof == sum16(body).to_be_bytes(),
            Self::Crc16Modbus => proof == crc16_modbus(body).to_le_bytes(),
        };
        right.then_some(body)
    }
}

fn sum16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0u16, |sum, &b| sum.wrapping_add(u16::from(b)))
}

/// The CRC of Modbus over serial line, section 6.2.2: polynomial 0xA001, start 0xFFFF.
fn crc16_modbus(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_takes_what_is_right_and_nothing_else() {
        let cases: [(Check, &[u8]); 4] = [
            (Check::Sum8, b"\xF0\x20\x10"),
            (Check::Xor8, b"\x0F\xF0\xFF"),
            (Check::Sum16, b"\xFF\xFF\x01\xFE"),
            // A well-known example: read one holding register of unit 1.
            (Check::Crc16Modbus, b"\x01\x03\x00\x00\x00\x01\x84\x0A"),
        ];
        for (check, frame) in cases {
            let body = &frame[..frame.len() - check.width()];
            assert_eq!(check.proven(frame), Some(body), "{check:?}");
            for at in 0..frame.len() {
                let mut damaged = frame.to_vec();
                damaged[at] ^= 0x04;
                assert_eq!(check.proven(&damaged), None, "{check:?} at {at}");
            }
        }
    }

    #[test]
    fn a_frame_shorter_than_its_check_is_wrong() {
        assert_eq!(Check::Sum16.proven(b"\0"), None);
        assert_eq!(Check::None.proven(b""), Some(&b""[..]));
    }
}
