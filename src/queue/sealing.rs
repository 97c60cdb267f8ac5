//! Encryption of frame bodies.
//!
//! Every segment has a key of its own, derived from the one in the file (HKDF-SHA256, with the
//! segment's id and base), and every body a random nonce, so that even a folder that was copied
//! and went on at two places never uses a nonce twice. What the frame's header says of the body
//! is authenticated with it.

use std::io;

use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce};

use super::{
    keys::{KeyTag, Keys},
    segment::SegmentName,
};

/// How much longer a body becomes.
pub(super) const SEAL_BYTES: usize = NONCE_LEN + TAG_BYTES;
/// The length of the authentication tag, the same for both ciphers.
const TAG_BYTES: usize = 16;

/// The ciphers; the numbers are those of the frame's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    ChaCha20Poly1305 = 1,
    Aes256Gcm = 2,
}

impl Cipher {
    pub(super) const ALL: [Self; 2] = [Self::ChaCha20Poly1305, Self::Aes256Gcm];

    /// AES where the processor has instructions for it; without them ChaCha20 is faster, and
    /// needs no tables.
    pub(super) fn of_this_machine() -> Self {
        if has_aes() { Self::Aes256Gcm } else { Self::ChaCha20Poly1305 }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            Self::Aes256Gcm => &AES_256_GCM,
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

/// Encrypts and decrypts the bodies of one segment by one cipher and key.
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) cipher: Cipher,
    pub(super) tag: KeyTag,
    key: LessSafeKey,
}

impl Seal {
    /// `None` where no key has this tag.
    pub(super) fn new(keys: &Keys, tag: KeyTag, name: SegmentName, cipher: Cipher) -> Option<Self> {
        Some(Self { cipher, tag, key: keys.of_segment(tag, name, cipher.algorithm())? })
    }

    /// Puts the nonce, the encrypted body and the tag in the body's place.
    pub(super) fn seal(&self, said: &[u8], body: &mut Vec<u8>, start: usize) -> io::Result<()> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
        let plain = &mut body[start..];
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(said), plain)
            .map_err(|_| io::Error::other("a frame could not be encrypted"))?;
        body.splice(start..start, nonce);
        body.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// The body; `None` where it, or what its header says, is not as it was sealed.
    pub(super) fn open(&self, said: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, encrypted) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = encrypted.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::from(said), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: SegmentName = SegmentName { base: 7, id: 0x0003_0000_0009 };

    fn keys(digit: &str) -> Keys {
        Keys::parse(&digit.repeat(64)).unwrap()
    }

    fn seal(keys: &Keys, name: SegmentName, cipher: Cipher) -> Seal {
        Seal::new(keys, keys.current().unwrap(), name, cipher).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_and_no_bit_of_it_may_change() {
        for cipher in Cipher::ALL {
            let seal = seal(&keys("a"), NAME, cipher);
            let mut body = b"-plain body".to_vec();
            seal.seal(b"header", &mut body, 1).unwrap();
            let sealed = &body[1..];
            assert_eq!(sealed.len(), 10 + SEAL_BYTES);
            assert_eq!(seal.open(b"header", sealed).unwrap(), b"plain body");
            assert_eq!(seal.open(b"headex", sealed), None);
            for bit in 0..sealed.len() * 8 {
                let mut bad = sealed.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(seal.open(b"header", &bad), None, "bit {bit}");
            }
            assert_eq!(seal.open(b"header", &sealed[..20]), None);
        }
    }

    #[test]
    fn another_key_or_segment_opens_nothing() {
        let here = seal(&keys("a"), NAME, Cipher::Aes256Gcm);
        let mut body = b"plain".to_vec();
        here.seal(b"", &mut body, 0).unwrap();
        let later = SegmentName { id: NAME.id + 1, ..NAME };
        assert_eq!(seal(&keys("a"), later, Cipher::Aes256Gcm).open(b"", &body), None);
        assert_eq!(seal(&keys("b"), NAME, Cipher::Aes256Gcm).open(b"", &body), None);
    }

    #[test]
    fn the_same_body_is_never_sealed_the_same_way_twice() {
        let seal = seal(&keys("a"), NAME, Cipher::ChaCha20Poly1305);
        let (mut one, mut two) = (b"plain".to_vec(), b"plain".to_vec());
        seal.seal(b"", &mut one, 0).unwrap();
        seal.seal(b"", &mut two, 0).unwrap();
        assert_ne!(one, two);
    }
}
