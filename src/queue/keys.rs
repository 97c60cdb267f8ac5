//! The keys by which frames are encrypted, and the file they come from.
//!
//! One key a line, 64 hexadecimal digits each; empty lines and lines that begin with `#` are
//! passed over. The first key encrypts new segments, the others only read what older segments
//! hold. To change keys: put a new one in front, restart, and remove the old one when no segment
//! needs it any more. To end encryption, put the word `none` in front.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ring::{
    aead::{Algorithm, LessSafeKey, UnboundKey},
    hkdf::{self, HKDF_SHA256, Prk},
};
use thiserror::Error;

use super::segment::SegmentName;

/// The most keys in one file.
const KEYS_MAX: usize = 16;
const KEY_BYTES: usize = 32;
/// A key file that is longer is none.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// What the keys of segments are derived with; part of the format.
const EXTRACT_SALT: &[u8] = b"holdfast queue";
const TAG_INFO: &[u8] = b"tag";
const SEGMENT_INFO: &[u8] = b"segment";

/// Which key a frame was encrypted with; 0 is none's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyTag(pub(super) u16);

impl fmt::Display for KeyTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// Why keys cannot be used.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Everybody may use it.
    #[error("users outside of its group may use it (mode {mode:03o})")]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds no key.
    #[error("it holds no key")]
    Empty,
    /// A line is no key.
    #[error("line {0} is no key: 64 hexadecimal digits are wanted")]
    Line(usize),
    /// There are too many, or the file is too long.
    #[error("it holds more than {KEYS_MAX} keys")]
    TooMany,
    /// Two keys cannot be told apart.
    #[error("two of its keys are the same, or have the same tag {0}")]
    Twice(KeyTag),
}

impl KeysError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "run this as a user who may read it; the service may with `chown root:holdfast` and \
                 `chmod 640`"
            }
            // The group stays as it is: it is how a service reads what root owns.
            Self::Exposed { file, .. } => return format!("run `chmod o= {}`", file.display()),
            Self::Io(_) | Self::Empty => {
                "give it the keys that the queue was written with, or a new one where it was \
                 written without: `openssl rand -hex 32` makes one"
            }
            Self::Line(_) => "put it right, or back as it was; `openssl rand -hex 32` makes a key",
            Self::TooMany => "remove those that no segment needs any more",
            Self::Twice(_) => "remove one, or make another",
        }
        .to_owned()
    }
}

/// The keys of a queue, the one for new segments first; none where it is not encrypted. Cheap to
/// clone.
#[derive(Clone, Default)]
pub struct Keys {
    known: Arc<[Key]>,
    /// Whether new segments are encrypted, with the first.
    encrypt: bool,
}

struct Key {
    tag: KeyTag,
    root: Prk,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tags()).finish()
    }
}

impl Keys {
    /// No keys: nothing is encrypted.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a file of keys, which only its owner and group may use. The group may write to it
    /// too: whoever reads the keys can read every message anyway, and what a writer could spoil
    /// beyond that, the service's own user could.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let metadata = fs::metadata(path)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(KeysError::Exposed { file: path.to_owned(), mode });
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(KeysError::TooMany);
        }
        Self::parse(&fs::read_to_string(path)?)
    }

    /// Takes keys from the text of a file.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys = Vec::<Key>::new();
        let mut encrypt = true;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line == "none" && keys.is_empty() {
                encrypt = false;
                continue;
            }
            let key = Key::new(&secret(line).ok_or(KeysError::Line(number + 1))?);
            if keys.iter().any(|other| other.tag == key.tag) {
                return Err(KeysError::Twice(key.tag));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err(KeysError::Empty),
            1..=KEYS_MAX => Ok(Self { known: keys.into(), encrypt }),
            _ => Err(KeysError::TooMany),
        }
    }

    /// Which keys they are.
    pub fn tags(&self) -> impl Iterator<Item = KeyTag> {
        self.known.iter().map(|key| key.tag)
    }

    /// The key for new segments, if they are to be encrypted.
    pub(super) fn current(&self) -> Option<KeyTag> {
        self.tags().next().filter(|_| self.encrypt)
    }

    /// The key of one segment; `None` where no key has this tag.
    pub(super) fn of_segment(
        &self,
        tag: KeyTag,
        name: SegmentName,
        algorithm: &'static Algorithm,
    ) -> Option<LessSafeKey> {
        let key = self.known.iter().find(|key| key.tag == tag)?;
        let (id, base) = (name.id.to_le_bytes(), name.base.to_le_bytes());
        let info: &[&[u8]] = &[SEGMENT_INFO, &id, &base];
        let derived = key.root.expand(info, algorithm).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

impl Key {
    fn new(secret: &[u8; KEY_BYTES]) -> Self {
        let root = hkdf::Salt::new(HKDF_SHA256, EXTRACT_SALT).extract(secret);
        let mut tag = [0; 2];
        root.expand(&[TAG_INFO], HKDF_SHA256.hmac_algorithm())
            .map(ring::hmac::Key::from)
            .map(|key| tag.copy_from_slice(&ring::hmac::sign(&key, TAG_INFO).as_ref()[..2]))
            .expect("the length of a digest can be expanded to");
        Self { tag: KeyTag(u16::from_le_bytes(tag).max(1)), root }
    }
}

fn secret(line: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    if line.len() != 2 * KEY_BYTES || !line.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
        let text = std::str::from_utf8(digits).ok()?;
        // A sign would pass for a digit below.
        if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(text, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const B: &str = "FF0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn the_first_key_is_for_new_segments_and_comments_are_passed_over() {
        let keys = Keys::parse(&format!("# 2026-11\n\n  {A}\n{B}\n")).unwrap();
        assert_eq!(keys.tags().count(), 2);
        assert_eq!(keys.current(), Keys::parse(A).unwrap().current());
        assert_ne!(keys.current(), Keys::parse(B).unwrap().current());
    }

    #[test]
    fn with_none_in_front_keys_are_only_for_reading() {
        let keys = Keys::parse(&format!("none\n{A}\n")).unwrap();
        assert_eq!((keys.tags().count(), keys.current()), (1, None));
        assert!(matches!(Keys::parse("none\n"), Err(KeysError::Empty)));
        assert!(matches!(Keys::parse(&format!("{A}\nnone\n")), Err(KeysError::Line(2))));
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line() {
        let error = |text: &str| Keys::parse(text).unwrap_err().to_string();
        assert!(error("").contains("holds no key"));
        assert!(error(&format!("{A}\nabc")).starts_with("line 2 "));
        assert!(error(&A.replace("00", "+0")).starts_with("line 1 "));
        assert!(error(&format!("{A}\n{A}")).contains("the same"));
    }

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("{:?}", Keys::parse(A).unwrap());
        assert!(!text.contains("0102"), "{text}");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), A).unwrap();
        let set =
            |mode| fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o644, 0o602, 0o601] {
            set(mode);
            let error = Keys::read(file.path()).unwrap_err();
            assert!(error.to_string().contains(&format!("{mode:03o}")), "{error}");
            assert_eq!(error.remedy(), format!("run `chmod o= {}`", file.path().display()));
        }
        for mode in [0o600, 0o640, 0o660] {
            set(mode);
            assert_eq!(Keys::read(file.path()).unwrap().tags().count(), 1);
        }
    }
}
