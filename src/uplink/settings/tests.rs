use super::*;
use crate::uplink::testing::{Authority, config};

fn settings(url: &str, more: &str) -> Result<Settings, Vec<String>> {
    Settings::new(&config(url, more), "gw", &config::Commands::default())
        .map_err(|error| error.problems.into_iter().map(|problem| problem.key).collect())
}

fn parsed(url: &str) -> Option<(String, u16, bool)> {
    address(url).ok().map(|address| (address.host, address.port, address.tls))
}

#[test]
fn a_url_is_a_scheme_a_host_and_perhaps_a_port() {
    let host = |name: &str, port, tls| Some((name.to_owned(), port, tls));
    assert_eq!(parsed("mqtts://cloud.example"), host("cloud.example", 8883, true));
    assert_eq!(parsed("mqtts://cloud.example:443/"), host("cloud.example", 443, true));
    assert_eq!(parsed("mqtt://127.0.0.1"), host("127.0.0.1", 1883, false));
    assert_eq!(parsed("mqtts://[::1]:8884"), host("::1", 8884, true));
    assert_eq!(parsed("mqtt://[::1]"), host("::1", 1883, false));
    for url in [
        "",
        "cloud.example",
        "https://cloud.example",
        "mqtts://",
        "mqtts://a:0",
        "mqtts://a:x",
        "mqtts://a:70000",
        "mqtts://u:p@a",
        "mqtts://a/topic",
        "mqtts://[::1",
        "mqtts://[::1]x",
        "mqtts://a b",
    ] {
        assert_eq!(parsed(url), None, "{url}");
    }
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
fn a_file_that_cannot_be_used_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    let more = format!("ca = {:?}\ncert = 'missing.crt'\nkey = 'missing.key'", authority.ca);
    let error =
        Settings::new(&config("mqtts://cloud.example", &more), "gw", &config::Commands::default())
            .unwrap_err();
    assert!(error.to_string().starts_with("uplink.cert: cannot read missing.crt: "), "{error}");
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
