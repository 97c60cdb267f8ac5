//! Bytes written as text in a configuration: `SET {value}\r\n`, `\x42\x4D`.
//!
//! TOML itself has no notation for a byte, and a literal string leaves `\r` as two characters;
//! so both ways of writing a carriage return come out the same here.

use thiserror::Error;

/// The text does not stand for bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is no escape: use \\r, \\n, \\t, \\0, \\\\ or \\xHH with two hexadecimal digits")]
pub struct BadEscape(String);

/// The bytes that `text` stands for.
pub fn bytes(text: &str) -> Result<Vec<u8>, BadEscape> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at..];
        let (byte, length) =
            one(escape).ok_or_else(|| BadEscape(escape.chars().take(4).collect()))?;
        out.push(byte);
        rest = &escape[length..];
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// The byte of the escape at the start of `text`, and the escape's length.
fn one(text: &str) -> Option<(u8, usize)> {
    Some(match text.as_bytes().get(1)? {
        b'r' => (b'\r', 2),
        b'n' => (b'\n', 2),
        b't' => (b'\t', 2),
        b'0' => (0, 2),
        b'\\' => (b'\\', 2),
        b'x' => {
            let digits = text.get(2..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            (u8::from_str_radix(digits, 16).ok()?, 4)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_plain_text_become_bytes() {
        assert_eq!(bytes(r"R\r\n").unwrap(), b"R\r\n");
        assert_eq!(bytes("R\r\n").unwrap(), b"R\r\n");
        assert_eq!(bytes(r"\x42\x4d\xff\0\\n").unwrap(), b"\x42\x4d\xff\0\\n");
        assert_eq!(bytes("°").unwrap(), "°".as_bytes());
    }

    #[test]
    fn a_wrong_escape_is_named() {
        for bad in [r"\q", r"\x4", r"\x+1", "\\", r"\xä"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert!(bytes(r"ab\q12345").unwrap_err().to_string().starts_with(r"'\q12'"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[\\\\xrn0-9a-f°\u{1F600}]{0,40}") {
            drop(bytes(&text));
        }
    }
}
