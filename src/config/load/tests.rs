use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;

const SMALLEST: &str = r#"
[gateway]
id = "gw-01"
data_dir = "/var/lib/holdfast"

[[listener]]
bind = "127.0.0.1:1883"

[uplink]
url = "mqtts://cloud.example:8883"
ca = "ca.crt"
cert = "gateway.crt"
key = "gateway.key"

[[route]]
from = "sensors/#"
stream = "telemetry"
"#;

fn write(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn load_main(dir: &TempDir, sets: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let sets: Vec<_> = sets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load(&dir.path().join("holdfast.toml"), &sets)
}

#[test]
fn the_smallest_file_of_an_operator_is_enough() {
    let dir = write(&[("holdfast.toml", SMALLEST)]);
    let config = load_main(&dir, &[]).unwrap().config;
    assert_eq!(config.gateway.id, "gw-01");
    assert_eq!(config.route[0].to, "{gateway}/{topic}");
    assert_eq!(config.limits.connections_max, 1_000);
    assert_eq!(config.uplink.unwrap().ca.unwrap(), dir.path().join("ca.crt"));
}

#[test]
fn a_drop_in_overrides_keys_and_appends_to_lists() {
    let dir = write(&[
        ("holdfast.toml", SMALLEST),
        ("conf.d/10-site.toml", "[gateway]\nid = \"gw-02\"\n"),
        ("conf.d/20-more.toml", "[[route]]\nfrom = \"alarms/#\"\nstream = \"events\"\n"),
        ("conf.d/ignored.txt", "not toml"),
    ]);
    let config = load_main(&dir, &[]).unwrap().config;
    assert_eq!(config.gateway.id, "gw-02");
    assert_eq!(config.gateway.data_dir, Path::new("/var/lib/holdfast"));
    let from: Vec<_> = config.route.iter().map(|route| route.from.as_str()).collect();
    assert_eq!(from, ["sensors/#", "alarms/#"]);
}

#[test]
fn the_command_line_has_the_last_word() {
    let dir = write(&[("holdfast.toml", SMALLEST)]);
    let loaded = load_main(&dir, &[("gateway.id", "gw-99"), ("limits.connections_max", "7")]);
    let config = loaded.unwrap().config;
    assert_eq!(config.gateway.id, "gw-99");
    assert_eq!(config.limits.connections_max, 7);
}

#[test]
fn every_problem_is_reported_at_once_with_file_key_and_remedy() {
    let text = SMALLEST
        .replace("ca = ", "cafile = ")
        .replace("stream = ", "streem = ")
        .replace("id = \"gw-01\"", "idd = \"gw-01\"")
        + "\n[limits]\nconnections_max = \"many\"\n[limmits]\nx = 1\n";
    let dir = write(&[("holdfast.toml", &text)]);
    let problems = load_main(&dir, &[]).unwrap_err().0;
    let find = |key: &str| {
        problems
            .iter()
            .find(|p| p.key == key)
            .unwrap_or_else(|| panic!("no problem of {key} in {problems:#?}"))
    };
    assert_eq!(find("limmits").remedy, "did you mean `limits`?");
    assert_eq!(find("route[0].streem").remedy, "did you mean `stream`?");
    assert_eq!(find("uplink.cafile").message, "unknown key");
    assert!(find("gateway").message.contains("id"), "{:?}", find("gateway"));
    assert!(find("limits.connections_max").message.contains("many"));
    for problem in &problems {
        assert!(problem.file.as_ref().is_some_and(|f| f.ends_with("holdfast.toml")), "{problem:?}");
        assert!(!problem.remedy.is_empty());
    }
}

#[test]
fn a_file_that_is_no_toml_is_named_with_the_line() {
    let dir = write(&[("holdfast.toml", SMALLEST), ("conf.d/x.toml", "[gateway\n")]);
    let problems = load_main(&dir, &[]).unwrap_err();
    let text = problems.to_string();
    assert!(text.contains("x.toml") && text.contains("line 1"), "{text}");
}

#[test]
fn a_single_table_where_a_list_belongs_is_explained() {
    let dir = write(&[("holdfast.toml", &SMALLEST.replace("[[route]]", "[route]"))]);
    let problems = load_main(&dir, &[]).unwrap_err();
    assert!(problems.to_string().contains("write [[route]] instead of [route]"), "{problems}");
}

/// The problem of one key, with this added to the smallest file.
#[track_caller]
fn problem(key: &str, more: &str) -> Problem {
    let dir = write(&[("holdfast.toml", SMALLEST), ("conf.d/10-site.toml", more)]);
    let problems = load_main(&dir, &[]).unwrap_err().0;
    let [problem] = &problems[..] else { panic!("{problems:#?}") };
    assert_eq!(problem.key, key);
    assert!(problem.file.as_ref().unwrap().ends_with("10-site.toml"), "{problem:?}");
    problem.clone()
}

#[test]
fn a_value_that_is_none_of_the_choices_is_answered_with_the_choices() {
    let stream = |line: &str| format!("[[stream]]\nname = \"s\"\n{line}\n");
    let full = problem("stream[0].on_full", &stream("on_full = \"block\""));
    assert_eq!(full.message, "`block` is none of the choices");
    assert_eq!(full.remedy, "use drop_oldest, drop_newest or reject");
    for (key, value, choices) in [
        ("compression", "\"gzip\"", "use none, lz4 or zstd"),
        ("compression", "3", "use none, lz4 or zstd"),
        ("encoding", "\"json\"", "use raw or envelope"),
    ] {
        let found = problem(&format!("stream[0].{key}"), &stream(&format!("{key} = {value}")));
        assert_eq!(found.remedy, choices);
    }
    let profile = problem("uplink.profile", "[uplink]\nprofile = \"gcp\"");
    assert_eq!(profile.remedy, "use generic, aws or azure");
    let bus = "[[modbus]]\nname = \"b\"\nport = \"p\"\nparity = \"mark\"\n";
    assert_eq!(problem("modbus[0].parity", bus).remedy, "use none, even or odd");
}

#[test]
fn a_value_of_the_wrong_kind_is_answered_with_what_would_fit() {
    let time = problem("queue.commit_interval", "[queue]\ncommit_interval = 30");
    assert!(time.message.contains("\"30\", but it has to be a duration"), "{time}");
    assert!(time.remedy.contains("30s"), "{time}");
    let number = problem("limits.inflight_max", "[limits]\ninflight_max = 70000");
    assert_eq!(number.message, "this is `70000`, but it has to be a whole number from 0 to 65535");
    let number = problem("limits.inflight_max", "[limits]\ninflight_max = -1");
    assert!(number.message.contains("`-1`"), "{number}");
    let address = problem("telemetry.metrics_bind", "[telemetry]\nmetrics_bind = \"localhost\"");
    assert!(address.message.contains("`localhost`: invalid socket address"), "{address}");
    let table = problem("listener[1].tls", "[[listener]]\nbind = \"127.0.0.1:0\"\ntls = true");
    assert!(table.message.contains("a table with keys of cert, key, client_ca"), "{table}");
    let missing = problem("stream[0]", "[[stream]]\npriority = 3");
    assert_eq!(missing.message, "the key `name` is missing");
}

#[test]
fn a_key_that_the_queue_does_not_know_is_answered_with_those_it_knows() {
    let unknown = problem("queue.bytes_max", "[queue]\nbytes_max = 5");
    assert!(
        unknown.remedy.contains("[stream]") && unknown.remedy.contains("key_file"),
        "{unknown}"
    );
}

#[test]
fn what_the_command_line_says_is_taken_as_what_is_wanted() {
    let dir = write(&[("holdfast.toml", SMALLEST)]);
    let sets = [
        ("uplink.insecure", "true"),
        ("uplink.profile", "aws"),
        ("queue.commit_interval", "20ms"),
        ("limits.retained_bytes_max", "5000"),
    ];
    let config = load_main(&dir, &sets).unwrap().config;
    let uplink = config.uplink.unwrap();
    assert!(uplink.insecure && uplink.profile == crate::config::Profile::Aws);
    assert_eq!(config.queue.commit_interval.as_millis(), 20);
    assert_eq!(config.limits.retained_bytes_max, 5000);
}
