//! Reads the data types of MQTT (section 1.5) from a packet's body.

use bytes::Bytes;

use super::Malformed;

const ENDS_EARLY: Malformed = Malformed::packet("the packet ends early", "MQTT-4.8.0-1");
const BAD_UTF8: Malformed = Malformed::packet("a string is not UTF-8", "MQTT-1.5.3-1");
const NUL: Malformed = Malformed::packet("a string contains U+0000", "MQTT-1.5.3-2");
const TRAILING: Malformed = Malformed::packet("bytes follow the packet's end", "MQTT-4.8.0-1");
const VARINT: Malformed =
    Malformed::packet("a variable byte integer is longer than it may be", "MQTT-1.5.5-1");

/// A cursor over a packet's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is left.
    pub fn remainder(self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(byte)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// A variable byte integer, of at most four bytes and in its shortest form.
    pub fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(VARINT) } else { Ok(value) };
            }
        }
        Err(VARINT)
    }

    pub fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    pub fn bytes(&mut self) -> Result<Bytes, Malformed> {
        self.binary().map(Bytes::copy_from_slice)
    }

    pub fn str(&mut self) -> Result<&'a str, Malformed> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| BAD_UTF8)?;
        if text.as_bytes().contains(&0) { Err(NUL) } else { Ok(text) }
    }

    pub fn string(&mut self) -> Result<String, Malformed> {
        self.str().map(str::to_owned)
    }

    /// Asserts that nothing is left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(TRAILING) }
    }
}
