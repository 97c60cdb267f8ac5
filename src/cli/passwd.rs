//! `holdfast passwd`

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, ensure};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, SaltString},
};

use super::{
    Exit,
    terminal::{printed, tell},
};

/// MQTT carries a password of at most this many bytes.
const PASSWORD_BYTES_MAX: usize = 65_535;

pub(super) fn passwd() -> Exit {
    match hash_from_stdin() {
        Ok(hash) => printed("passwd", &(hash + "\n"), Exit::Success),
        Err(error) => {
            tell(format_args!("holdfast passwd: {error:#}"));
            Exit::Failure
        }
    }
}

fn hash_from_stdin() -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        write!(io::stderr(), "Password (it will be visible): ")?;
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("reading the password from standard input")?;
    hash(line.trim_end_matches(['\r', '\n']))
}

fn hash(password: &str) -> anyhow::Result<String> {
    ensure!(!password.is_empty(), "an empty password protects nothing");
    ensure!(password.len() <= PASSWORD_BYTES_MAX, "MQTT carries at most 65,535 bytes");
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| anyhow::anyhow!("no randomness from the system: {error}"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| anyhow::anyhow!("{error}"))?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordVerifier, password_hash::PasswordHash};

    use super::*;

    #[test]
    fn a_hash_verifies_its_own_password_and_no_other() {
        let text = hash("secret").unwrap();
        let parsed = PasswordHash::new(&text).unwrap();
        assert!(Argon2::default().verify_password(b"secret", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"Secret", &parsed).is_err());
        assert_ne!(text, hash("secret").unwrap(), "each hash has a salt of its own");
    }

    #[test]
    fn an_empty_password_is_refused() {
        assert!(hash("").is_err());
    }
}
