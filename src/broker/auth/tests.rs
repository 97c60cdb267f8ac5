use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version, password_hash::SaltString};

use super::*;
use crate::config::User;

/// A hash with the smallest parameters, so that tests do not wait for it.
fn user(name: &str, password: &str) -> User {
    let params = Params::new(8, 1, 1, None).expect("the smallest parameters are allowed");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::encode_b64(b"a salt for tests").expect("16 bytes are a salt");
    let hash = argon2.hash_password(password.as_bytes(), &salt).expect("it can be hashed");
    User { name: name.to_owned(), password_hash: hash.to_string() }
}

#[tokio::test]
async fn the_right_password_is_let_in_and_let_in_again_and_a_wrong_one_never_is() {
    let passwords = Passwords::new(&[user("pump", "right"), user("valve", "other")])
        .expect("both users are good");
    for _ in 0..2 {
        let name = passwords.verify(Some("pump"), Some(b"right")).await;
        assert_eq!(name.as_deref(), Ok("pump"));
        // After a success too, when the first is remembered.
        for (name, password) in [
            (Some("pump"), Some(&b"other"[..])),
            (Some("valve"), Some(b"right")),
            (Some("nobody"), Some(b"right")),
            (Some("pump"), Some(b"")),
            (Some("pump"), None),
            (None, Some(b"right")),
            (None, None),
        ] {
            assert_eq!(passwords.verify(name, password).await, Err(Denied::Credentials));
        }
    }
}

#[test]
fn users_that_cannot_be_used_are_named() {
    let bad = User { name: "pump".to_owned(), password_hash: "secret".to_owned() };
    assert_eq!(Passwords::new(&[bad]).unwrap_err(), UserError::Hash("pump".to_owned()));
    let twice = [user("pump", "a"), user("pump", "b")];
    assert_eq!(Passwords::new(&twice).unwrap_err(), UserError::Twice("pump".to_owned()));
    let reserved = user("modbus:meter", "a");
    assert!(matches!(Passwords::new(&[reserved]).unwrap_err(), UserError::Name(_)));
}

#[test]
fn no_device_may_have_a_name_of_the_gateways_own() {
    for good in ["pump-1", "ä", "modbus", "a:b", "Gateway"] {
        assert!(is_device_name(good), "{good}");
    }
    for bad in ["", "gateway", "modbus:meter", "serial:gps", "a\nb", &"x".repeat(257)] {
        assert!(!is_device_name(bad), "{bad}");
    }
}

fn certificate(common_name: Option<&str>, alternatives: &[rcgen::SanType]) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = common_name {
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
    }
    params.subject_alt_names = alternatives.to_vec();
    let key = rcgen::KeyPair::generate().expect("a key can be made");
    params.self_signed(&key).expect("it can be signed").der().to_vec()
}

#[test]
fn a_certificate_names_its_device_by_cn_or_else_by_dns_name_or_uri() {
    let dns = rcgen::SanType::DnsName("pump.local".try_into().expect("a DNS name"));
    let uri = rcgen::SanType::URI("urn:pump:7".try_into().expect("a URI"));
    let cases = [
        (certificate(Some("pump-1"), std::slice::from_ref(&dns)), "pump-1"),
        (certificate(None, &[dns.clone(), uri.clone()]), "pump.local"),
        (certificate(None, &[uri]), "urn:pump:7"),
        (certificate(Some(""), &[dns]), "pump.local"),
    ];
    for (der, name) in cases {
        assert_eq!(certificate_identity(&der).as_deref(), Ok(name));
    }
}

#[test]
fn a_certificate_without_a_usable_name_names_nobody() {
    assert_eq!(certificate_identity(&certificate(None, &[])), Err(CertificateError::Nameless));
    assert_eq!(
        certificate_identity(&certificate(Some("gateway"), &[])),
        Err(CertificateError::Unusable("gateway".to_owned()))
    );
    assert_eq!(certificate_identity(b"no certificate"), Err(CertificateError::Unreadable));
}
