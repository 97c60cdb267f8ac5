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
