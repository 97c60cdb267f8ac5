use holdfast_adapter_api::Problem;

use super::Plan;
use crate::config::Config;

fn problems(toml: &str) -> Vec<Problem> {
    toml::from_str::<Config>(toml).unwrap().problems()
}

fn keys(toml: &str) -> Vec<String> {
    problems(toml).into_iter().map(|problem| problem.key).collect()
}

#[test]
fn a_small_configuration_is_enough() {
    let config: Config = toml::from_str(
        r#"
        name = "mast"
        port = "/dev/ttyUSB0"
        parser = { kind = "nmea" }
        [[point]]
        name = "speed"
        sentence = "MWV"
        field = 3
        "#,
    )
    .unwrap();
    let plan = Plan::new(&config).unwrap();
    assert_eq!((plan.topic.as_str(), plan.device.as_str()), ("sensors/mast", "mast"));
    assert_eq!((plan.port.baud, plan.port.data_bits, plan.port.stop_bits), (9600, 8, 1));
}

#[test]
fn every_problem_is_reported_at_once_with_its_key_and_a_remedy() {
    let found = problems(
        r#"
        name = "a b"
        port = ""
        baud = 1
        data_bits = 9
        stop_bits = 3
        topic = "sensors/{devcie}"
        answer_timeout = "0s"
        init = ["ok", '\q']
        poll_command = 'R\r'
        poll_interval = "1ms"
        frame = { kind = "fixed", start = "x", bytes_max = 0 }
        parser = { kind = "csv", pattern = "x", separator = "::", columns = 0 }
        [[point]]
        name = "t"
        scale = 0.0
        min = 2.0
        max = 1.0
        [[point]]
        name = "t"
        column = 0
        field = 3
        invalid = [true]
        write = "SET"
        [[point]]
        name = "where"
        type = "latitude"
        column = 1
        require = { column = 2 }
        write_answer = "OK"
        "#,
    );
    let keys: Vec<_> = found.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "name",
            "topic",
            "port",
            "baud",
            "data_bits",
            "stop_bits",
            "answer_timeout",
            "frame.bytes_max",
            "frame.start",
            "frame.sync",
            "frame.length",
            "parser.pattern",
            "parser.columns",
            "parser.separator",
            "point[0].scale",
            "point[0].min",
            "point[0].column",
            "point[1].name",
            "point[1].invalid[0]",
            "point[1].write",
            "point[1].field",
            "point[1].column",
            "point[2].type",
            "point[2].write_answer",
            "point[2].require.one_of",
            "init[1]",
            "poll_interval",
        ]
    );
    assert!(found.iter().all(|p| !p.message.is_empty() && !p.remedy.is_empty()));
}

#[test]
fn a_group_that_the_pattern_lacks_is_a_problem_that_names_those_it_has() {
    let found = problems(
        r#"
        name = "x"
        port = "/dev/x"
        parser = { kind = "regex", pattern = '(?<temp>\d+) (?<hum>\d+)' }
        point = [{ name = "temp" }, { name = "humidity" }]
        "#,
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].key, "point[1].group");
    assert!(found[0].remedy.contains("temp, hum"), "{}", found[0].remedy);
}

#[test]
fn a_pattern_that_is_no_expression_is_a_problem_and_not_a_panic() {
    for pattern in ["(", "(?<a>x", &"(a{1000}){1000}".repeat(2)] {
        let toml = format!(
            "name = \"x\"\nport = \"p\"\nparser = {{ kind = \"regex\", pattern = '{pattern}' }}\npoint = [{{ name = \"a\" }}]"
        );
        assert_eq!(keys(&toml), ["parser.pattern"], "{pattern}");
    }
}

#[test]
fn each_frame_kind_says_what_it_lacks() {
    let with = |frame: &str| {
        keys(&format!(
            "name = \"x\"\nport = \"p\"\nframe = {{ {frame} }}\nparser = {{ kind = \"raw\" }}\npoint = [{{ name = \"a\" }}]"
        ))
    };
    assert_eq!(with("kind = 'delimiter'"), ["frame.end"]);
    assert_eq!(with("kind = 'delimiter', start = '|', end = '|'"), ["frame.end"]);
    assert_eq!(with("kind = 'fixed', length = 4"), ["frame.sync"]);
    assert_eq!(with("kind = 'fixed', length = 4, gap = '50ms'"), [""; 0]);
    assert_eq!(with("kind = 'fixed', sync = 'ABCD', length = 3"), ["frame.length"]);
    assert_eq!(with("kind = 'length_prefixed', sync = 'A'"), ["frame.length_at"]);
    assert_eq!(
        with("kind = 'length_prefixed', sync = 'A', length_at = 1, length_width = 3"),
        ["frame.length_width"]
    );
    assert_eq!(with("kind = 'idle_gap', sync = 'A'"), ["frame.sync"]);
    assert_eq!(with("kind = 'idle_gap', gap = '1ms'"), ["frame.gap"]);
    assert_eq!(with("kind = 'line'"), [""; 0]);
}

#[test]
fn a_point_may_be_written_without_being_read() {
    let toml = r#"
        name = "x"
        port = "p"
        parser = { kind = "csv" }
        point = [{ name = "a", column = 1 }, { name = "relay", type = "bool", write = 'R{value}\r' }]
    "#;
    let plan = Plan::new(&toml::from_str(toml).unwrap()).unwrap();
    assert_eq!(plan.decoder.readers.iter().filter(|reader| reader.source.is_some()).count(), 1);
    assert_eq!(plan.writers[0].after, b"\r");
}

#[test]
fn an_answer_is_not_awaited_beyond_the_next_poll() {
    let toml = r#"
        name = "x"
        port = "p"
        parser = { kind = "csv" }
        poll_command = "R"
        poll_interval = "500ms"
        point = [{ name = "a", column = 1 }]
    "#;
    let plan = Plan::new(&toml::from_str(toml).unwrap()).unwrap();
    assert_eq!(plan.answer_timeout.as_millis(), 500);
}
