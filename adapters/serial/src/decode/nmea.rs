//! NMEA 0183 sentences: `$WIMWV,084.0,R,10.4,N,A*1A`.

use thiserror::Error;

/// The frame is no sentence that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotNmea {
    /// Neither `$` nor `!` is in it.
    #[error("no '$' or '!' to start a sentence")]
    NoStart,
    /// It does not end with `*` and two hexadecimal digits.
    #[error("no checksum: a sentence ends with '*' and two hexadecimal digits")]
    NoChecksum,
    /// Its checksum is wrong.
    #[error("the checksum is {told:02X} but should be {right:02X}")]
    WrongChecksum {
        /// What the sentence says.
        told: u8,
        /// What its bytes make.
        right: u8,
    },
    /// It is not text.
    #[error("a byte that is no printable ASCII character")]
    NotText,
}

/// A sentence whose checksum is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence<'f> {
    /// Talker and type: `WIMWV`.
    pub name: &'f str,
    /// What follows the name, split at the commas.
    pub fields: Vec<&'f str>,
}

/// Reads the sentence at the end of `frame`.
///
/// What stands before its last `$` or `!` is the rest of a sentence that lost its end.
pub fn sentence(frame: &[u8]) -> Result<Sentence<'_>, NotNmea> {
    let start = frame.iter().rposition(|b| b"$!".contains(b)).ok_or(NotNmea::NoStart)?;
    let body = frame[start + 1..].trim_ascii_end();
    let (body, told) = body
        .split_last_chunk::<3>()
        .filter(|(_, proof)| proof[0] == b'*')
        .and_then(|(body, proof)| Some((body, hex(proof[1])? << 4 | hex(proof[2])?)))
        .ok_or(NotNmea::NoChecksum)?;
    let right = checksum(body);
    if told != right {
        return Err(NotNmea::WrongChecksum { told, right });
    }
    if !body.iter().all(|b| (0x20..0x7F).contains(b)) {
        return Err(NotNmea::NotText);
    }
    let text = str::from_utf8(body).map_err(|_| NotNmea::NotText)?;
    let mut fields = text.split(',');
    let name = fields.next().unwrap_or_default();
    Ok(Sentence { name, fields: fields.collect() })
}

/// The exclusive or of what stands between `$` and `*`.
fn checksum(body: &[u8]) -> u8 {
    body.iter().fold(0, |sum, byte| sum ^ byte)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

impl Sentence<'_> {
    /// Whether this is the sentence called `wanted`: its full name, or its type from any talker.
    pub fn is(&self, wanted: &str) -> bool {
        let from_any_talker =
            wanted.len() == 3 && self.name.len() == 5 && self.name.is_char_boundary(2);
        self.name == wanted || (from_any_talker && &self.name[2..] == wanted)
    }

    /// The field with this number, counted from 1 after the name.
    pub fn field(&self, number: usize) -> Option<&str> {
        self.fields.get(number.checked_sub(1)?).copied()
    }

    /// The measured value of one transducer, from a sentence that lists them as type, value,
    /// unit and id.
    pub fn transducer(&self, kind: &str, id: &str) -> Option<&str> {
        self.fields
            .chunks_exact(4)
            .find(|transducer| transducer[0] == kind && transducer[3] == id)
            .map(|transducer| transducer[1])
    }
}

/// The degrees that `ddmm.mmm` and a hemisphere stand for; `None` if they make no sense.
pub fn degrees(angle: &str, hemisphere: &str, degrees_max: f64) -> Option<f64> {
    let point = angle.find('.').unwrap_or(angle.len());
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let (degrees, minutes) = angle.split_at_checked(point.checked_sub(2)?)?;
    if !plain(angle) {
        return None;
    }
    let degrees = if degrees.is_empty() { 0.0 } else { degrees.parse::<f64>().ok()? };
    let minutes: f64 = minutes.parse().ok()?;
    let sign = match hemisphere {
        "N" | "E" => 1.0,
        "S" | "W" => -1.0,
        _ => return None,
    };
    let value = degrees + minutes / 60.0;
    (minutes < 60.0 && value <= degrees_max).then_some(sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_with_the_right_checksum_is_split_into_fields() {
        let wind = sentence(b"$WIMWV,084.0,R,10.4,N,A*1A\r").unwrap();
        assert_eq!(wind.name, "WIMWV");
        assert_eq!(wind.fields, ["084.0", "R", "10.4", "N", "A"]);
        assert_eq!(wind.field(3), Some("10.4"));
        assert_eq!((wind.field(0), wind.field(6)), (None, None));
        assert!(wind.is("MWV") && wind.is("WIMWV"));
        assert!(!wind.is("IIMWV") && !wind.is("MWD") && !wind.is("WV"));
    }

    #[test]
    fn a_wrong_or_missing_checksum_is_refused() {
        assert_eq!(
            sentence(b"$WIMWV,084.0,R,10.4,N,A*00"),
            Err(NotNmea::WrongChecksum { told: 0, right: 0x1A })
        );
        for bad in [&b"$WIMWV,084.0,R,10.4,N,A"[..], b"$WIMWV,084.0*1", b"$*", b"$"] {
            assert_eq!(sentence(bad), Err(NotNmea::NoChecksum), "{bad:?}");
        }
        assert_eq!(sentence(b"WIMWV,084.0,R,10.4,N,A*1A"), Err(NotNmea::NoStart));
    }

    #[test]
    fn one_flipped_bit_anywhere_is_noticed() {
        let good = b"$WIMWV,084.0,R,10.4,N,A*1A";
        let whole = sentence(good).unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = *good;
                bad[at] ^= 1 << bit;
                let read = sentence(&bad);
                assert!(read.as_ref().is_err() || read.as_ref() == Ok(&whole), "{at} {bit}");
            }
        }
    }

    #[test]
    fn a_sentence_that_lost_its_end_does_not_spoil_the_next() {
        let read = sentence(b"$WIMWV,084.0,R,$WIMWV,084.0,R,10.4,N,A*1A").unwrap();
        assert_eq!(read.field(1), Some("084.0"));
    }

    #[test]
    fn transducers_are_found_by_type_and_id() {
        let read = sentence(b"$WIXDR,C,019.5,C,0,P,1.01,B,0,H,45*0D")
            .or_else(|_| sentence(b"$WIXDR,C,019.5,C,0,P,1.01,B,0,H,45*00"));
        let Err(NotNmea::WrongChecksum { right, .. }) = read else { panic!("{read:?}") };
        let text = format!("$WIXDR,C,019.5,C,0,P,1.01,B,0,H,45*{right:02X}");
        let read = sentence(text.as_bytes()).unwrap();
        assert_eq!(read.transducer("C", "0"), Some("019.5"));
        assert_eq!(read.transducer("P", "0"), Some("1.01"));
        assert_eq!(read.transducer("H", "0"), None, "an unfinished group");
    }

    #[test]
    fn an_angle_becomes_degrees_or_nothing() {
        assert_eq!(degrees("4807.038", "N", 90.0), Some(48.0 + 7.038 / 60.0));
        assert_eq!(degrees("01131.000", "W", 180.0), Some(-(11.0 + 31.0 / 60.0)));
        assert_eq!(degrees("00.5", "S", 90.0), Some(-0.5 / 60.0));
        for (angle, hemisphere) in [
            ("", "N"),
            ("1", "N"),
            ("9100.0", "N"),
            ("4860.0", "N"),
            ("48-7.0", "N"),
            ("4807", "X"),
        ] {
            assert_eq!(degrees(angle, hemisphere, 90.0), None, "{angle} {hemisphere}");
        }
    }
}
