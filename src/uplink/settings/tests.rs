use super::{super::tls, *};
use crate::uplink::testing::{Authority, config};

fn settings(url: &str, more: &str) -> Result<Settings, Vec<String>> {
    Settings::new(&config(url, more), "gw", &config::Commands::default())
        .map_err(|error| error.problems.into_iter().map(|problem| problem.key).collect())
}

#[test]
fn sending_in_the_clear_is_for_loopback_or_for_those_who_say_so() {
    for url in ["mqtt://127.0.0.1:1", "mqtt://localhost", "mqtt://[::1]"] {
        assert!(settings(url, "").is_ok(), "{url}");
    }
    assert_eq!(settings("mqtt://192.0.2.1", "").unwrap_err(), ["uplink.url"]);
    assert_eq!(settings("mqtt://localhost.example", "").unwrap_err(), ["uplink.url"]);
    assert!(settings("mqtt://192.0.2.1", "insecure = true").is_ok());
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let more = "
        cert = 'gateway.crt'
        client_id = ''
        password_file = 'missing'
        keep_alive = '10s'
        profile = 'aws'
        inflight_max = 0
        backoff_max = '1ms'";
    assert_eq!(
        settings("mqtts://cloud.example", more).unwrap_err(),
        [
            "uplink.key",
            "uplink.ca",
            "uplink.client_id",
            "uplink.username",
            "uplink.keep_alive",
            "uplink.inflight_max",
            "uplink.backoff_max"
        ]
    );
}

#[test]
fn a_gateway_starts_without_its_files_and_a_check_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    let more = format!("ca = {:?}\ncert = 'missing.crt'\nkey = 'missing.key'", authority.ca);
    let files = settings("mqtts://cloud.example", &more).unwrap().tls.unwrap();
    let problems = files.inspect(None);
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["uplink.cert", "uplink.key"]);
    assert!(problems[0].message.contains("missing.crt"), "{}", problems[0]);
}

#[test]
fn a_check_reports_dates_that_do_not_keep_the_gateway_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.sign_between("old", &["gw"], 2001, 2002);
    let more = format!("ca = {:?}\ncert = {:?}\nkey = {:?}", authority.ca, files.cert, files.key);
    assert!(settings("mqtts://cloud.example", &more).is_ok());
    let config = config("mqtts://cloud.example", &more);
    assert_eq!(check(&config, "gw", &config::Commands::default()), []);
    let files = tls::inspect(
        config.ca.as_deref(),
        config.cert.as_deref(),
        config.key.as_deref(),
        Some(SystemTime::now()),
    );
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].key, "uplink.cert");
}

#[test]
fn the_profile_fills_in_what_is_left_out_and_no_more() {
    let generic = settings("mqtt://localhost", "").unwrap();
    assert_eq!((generic.inflight_max, generic.messages_per_second_max), (100, None));
    let aws = settings("mqtt://localhost:443", "profile = 'aws'").unwrap();
    assert_eq!((aws.inflight_max, aws.messages_per_second_max), (50, Some(80)));
    assert_eq!(aws.alpn, ["x-amzn-mqtt-ca"]);
    let told = settings(
        "mqtt://localhost:443",
        "profile = 'aws'\nmessages_per_second_max = 20\nalpn = ['mqtt']",
    )
    .unwrap();
    assert_eq!(told.messages_per_second_max, Some(20));
    assert_eq!(told.alpn, ["mqtt"]);
    assert_eq!((told.client_id, told.filters), ("gw".to_owned(), vec!["gw/commands/#".to_owned()]));
}

#[test]
fn a_filter_with_an_unknown_placeholder_is_a_problem() {
    let commands =
        config::Commands { from: vec!["{site}/#".to_owned()], ..config::Commands::default() };
    let error = Settings::new(&config("mqtt://localhost", ""), "gw", &commands).unwrap_err();
    assert_eq!(error.problems[0].key, "commands.from");
    assert!(error.to_string().contains("{gateway}"), "{error}");
}

#[test]
fn the_password_is_read_from_its_file_without_the_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "secret word\n").unwrap();
    let more = format!("username = 'gw'\npassword_file = {file:?}");
    let options = settings("mqtt://localhost", &more).unwrap().options().unwrap();
    let login = options.credentials().unwrap();
    assert_eq!((login.username.as_str(), login.password.as_str()), ("gw", "secret word"));
}
