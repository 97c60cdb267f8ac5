use std::path::Path;

use super::*;
use crate::config::load;

/// What is wrong with a configuration of `[gateway]` and this.
fn problems(rest: &str) -> Vec<Problem> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("holdfast.toml");
    let text = format!("[gateway]\nid = \"gw-1\"\ndata_dir = \"data\"\n{rest}");
    std::fs::write(&path, text).unwrap();
    let config = load(&path, &[]).unwrap_or_else(|problems| panic!("{problems}")).config;
    let mut problems = check(&config);
    problems.extend(check_files(&config));
    problems
}

fn keys(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.key.as_str()).collect()
}

#[test]
fn a_gateway_that_only_queues_is_in_order() {
    assert_eq!(
        problems(
            "[[route]]\nfrom = \"#\"\nstream = \"telemetry\"\n[[listener]]\nbind = \"127.0.0.1:0\""
        ),
        []
    );
}

#[test]
fn an_open_door_off_loopback_has_to_be_asked_for() {
    let open = "[[listener]]\nbind = \"0.0.0.0:1883\"\nauthentication = \"anonymous\"\n";
    assert_eq!(keys(&problems(open)), ["listener[0].authentication"]);
    assert_eq!(problems(&format!("{open}insecure = true")), []);
    let silent = "[[listener]]\nbind = \"0.0.0.0:1883\"\n";
    assert_eq!(keys(&problems(silent)), ["listener[0].authentication"]);
}

#[test]
fn passwords_in_the_clear_and_users_without_hashes_are_found() {
    let found = problems(
        "[[listener]]\nbind = \"0.0.0.0:1883\"\nauthentication = \"password\"\n\
         [[user]]\nname = \"a\"\npassword_hash = \"secret\"\n\
         [[user]]\nname = \"a\"\npassword_hash = \"$argon2id$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$9sTbSlTio3Biev89thdrlA\"\n",
    );
    assert_eq!(
        keys(&found),
        ["user[0].password_hash", "user[1].name", "listener[0].authentication"]
    );
}

#[test]
fn two_listeners_cannot_share_a_port() {
    let listener = |bind: &str| {
        format!(
            "[[listener]]\nbind = \"{bind}\"\ninsecure = true\nauthentication = \"anonymous\"\n"
        )
    };
    let twice = listener("127.0.0.1:1883") + &listener("127.0.0.1:1883");
    assert_eq!(keys(&problems(&twice)), ["listener[1].bind"]);
    let covered = listener("127.0.0.1:1883") + &listener("0.0.0.0:1883");
    assert_eq!(keys(&problems(&covered)), ["listener[0].bind"]);
    assert_eq!(problems(&(listener("127.0.0.1:0") + &listener("127.0.0.1:0"))), []);
}

#[test]
fn a_puback_cannot_be_made_to_wait_for_longer_than_devices_do() {
    assert_eq!(problems("[queue]\ncommit_interval = \"2s\""), []);
    let found = problems("[queue]\ncommit_interval = \"2001ms\"");
    assert_eq!(keys(&found), ["queue.commit_interval"]);
}

#[test]
fn metrics_need_a_port_that_no_listener_has() {
    let both = |metrics: &str, listener: &str| {
        problems(&format!(
            "[telemetry]\nmetrics_bind = \"{metrics}\"\n[[listener]]\nbind = \"{listener}\""
        ))
    };
    assert_eq!(both("127.0.0.1:9464", "127.0.0.1:1883"), []);
    assert_eq!(both("127.0.0.1:0", "127.0.0.1:0"), []);
    for metrics in ["127.0.0.1:1883", "0.0.0.0:1883"] {
        assert_eq!(keys(&both(metrics, "127.0.0.1:1883")), ["telemetry.metrics_bind"]);
    }
}

#[test]
fn routes_are_held_to_streams_filters_and_templates() {
    let found = problems(
        "[[route]]\nfrom = \"a/#/b\"\nstream = \"telemetry\"\n\
         [[route]]\nfrom = \"a\"\nstream = \"nowhere\"\n\
         [[route]]\nfrom = \"a\"\nstream = \"events\"\nto = \"{device}/x\"\n\
         [commands]\noutcome = \"a/+\"\n",
    );
    assert_eq!(
        keys(&found),
        ["route[0].from", "route[1].stream", "route[2].to", "commands.outcome"]
    );
}

#[test]
fn missing_certificate_files_are_named_with_their_keys() {
    let found = problems(
        "[uplink]\nurl = \"mqtts://cloud.example\"\nca = \"ca.crt\"\ncert = \"gw.crt\"\nkey = \"gw.key\"\n",
    );
    assert_eq!(keys(&found), ["uplink.ca", "uplink.cert", "uplink.key"]);
    assert!(found[0].message.contains("ca.crt"), "{}", found[0]);
    let found = problems(
        "[[listener]]\nbind = \"127.0.0.1:0\"\n\
         tls = { cert = \"door.crt\", key = \"door.key\", client_ca = \"ca.crt\" }\n",
    );
    assert_eq!(
        keys(&found),
        ["listener[0].tls.client_ca", "listener[0].tls.cert", "listener[0].tls.key"]
    );
    assert!(found.iter().all(|problem| !problem.message.contains("uplink")), "{found:?}");
}

#[test]
fn one_port_serves_one_adapter() {
    let line = |name: &str| {
        format!(
            "[[serial]]\nname = \"{name}\"\nport = \"/dev/ttyS0\"\n\
             parser = {{ kind = \"nmea\" }}\n\
             [[serial.point]]\nname = \"v\"\nsentence = \"WIMWV\"\nfield = 3\n"
        )
    };
    let both = line("a") + &line("b");
    assert!(keys(&problems(&both)).contains(&"serial[1].port"), "{:?}", problems(&both));
}

#[test]
fn a_data_folder_below_a_file_cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let text = format!("[gateway]\nid = \"gw 1\"\ndata_dir = \"{}/x\"\n", file.display());
    let path = dir.path().join("holdfast.toml");
    std::fs::write(&path, text).unwrap();
    let config = load(Path::new(&path), &[]).unwrap().config;
    assert_eq!(keys(&check(&config)), ["gateway.id", "gateway.data_dir"]);
}
