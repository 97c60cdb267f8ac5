use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::uplink::testing::{Authority, Files};

struct Case {
    folder: TempDir,
    authority: Authority,
    good: Files,
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    let good = authority.sign("gateway", &["gw"]);
    Case { folder, authority, good }
}

fn problems(case: &Case, cert: &Path, key: &Path) -> Vec<(String, String)> {
    inspect(Some(&case.authority.ca), Some(cert), Some(key), Some(SystemTime::now()))
        .into_iter()
        .map(|problem| (problem.key, problem.message))
        .collect()
}

fn at(year: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((year - 1970) * 31_557_600)
}

#[test]
fn files_that_fit_are_loaded_and_have_no_problem() {
    let case = case();
    assert_eq!(problems(&case, &case.good.cert, &case.good.key), []);
    let files = TlsFiles {
        ca: case.authority.ca.clone(),
        identity: Some((case.good.cert.clone(), case.good.key.clone())),
    };
    let config = files.load(&["x-amzn-mqtt-ca".to_owned()]).unwrap();
    assert_eq!(config.alpn_protocols, [b"x-amzn-mqtt-ca".to_vec()]);
    assert!(config.enable_sni);
}

#[test]
fn a_key_of_another_certificate_is_named_with_both_files() {
    let case = case();
    let other = case.authority.sign("other", &["gw"]);
    let found = problems(&case, &case.good.cert, &other.key);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "uplink.key");
    assert!(found[0].1.contains("other.key") && found[0].1.contains("gateway.crt"), "{found:?}");
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let case = case();
    let missing = case.folder.path().join("missing.key");
    let nonsense = case.folder.path().join("nonsense.crt");
    std::fs::write(&nonsense, "no certificate").unwrap();
    let found = inspect(Some(&missing), Some(&nonsense), Some(&missing), Some(SystemTime::now()));
    let keys: Vec<&str> = found.iter().map(|problem| &*problem.key).collect();
    assert_eq!(keys, ["uplink.ca", "uplink.cert", "uplink.key"]);
    assert!(found.iter().all(|problem| !problem.remedy.is_empty()));
}

#[test]
fn a_certificate_before_or_after_its_time_is_a_problem_for_check_but_loads() {
    let case = case();
    let aging = case.authority.sign_between("aging", &["gw"], 2024, 2026);
    for (now, word) in [(at(2023), "not valid before"), (at(2027), "expired on")] {
        let found =
            inspect(Some(&case.authority.ca), Some(&aging.cert), Some(&aging.key), Some(now));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains(word), "{found:?}");
        assert!(found[0].message.contains("aging.crt"), "{found:?}");
    }
    let files = TlsFiles { ca: case.authority.ca.clone(), identity: Some((aging.cert, aging.key)) };
    assert!(files.load(&[]).is_ok(), "the clock may be wrong; the server judges");
}

#[test]
fn one_valid_authority_in_a_bundle_is_enough() {
    let case = case();
    let old = case.authority.sign_between("old", &["x"], 2001, 2002);
    let mut bundle = std::fs::read_to_string(&case.authority.ca).unwrap();
    bundle += &std::fs::read_to_string(old.cert).unwrap();
    let file = case.folder.path().join("bundle.crt");
    std::fs::write(&file, bundle).unwrap();
    assert_eq!(inspect(Some(&file), None, None, Some(SystemTime::now())), []);
}

#[test]
fn a_damaged_certificate_is_an_error_and_no_panic() {
    let case = case();
    let pem = std::fs::read_to_string(&case.good.cert).unwrap();
    let file = case.folder.path().join("damaged.crt");
    let middle = pem.len() / 2;
    for damaged in [pem.replace("MII", "AAA"), pem[..middle].to_owned(), String::new()] {
        std::fs::write(&file, damaged).unwrap();
        let found = problems(&case, &file, &case.good.key);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "uplink.cert");
    }
}
