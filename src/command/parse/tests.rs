use proptest::prelude::*;
use serde_json::json;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn read(json: &Json) -> Result<Parsed, Malformed> {
    parse("gw/commands/x", json.to_string().as_bytes(), MINUTE)
}

fn reason(json: &Json) -> String {
    read(json).expect_err("a malformed command").reason
}

#[test]
fn a_write_is_read_with_its_value_as_it_stands() {
    for (value, expected) in [
        (json!(42), Value::Int(42)),
        (json!(42.5), Value::Float(42.5)),
        (json!(u64::MAX), Value::UInt(u64::MAX)),
        (json!(true), Value::Bool(true)),
        (json!("auto"), Value::Text("auto".into())),
    ] {
        let parsed =
            read(&json!({"id": "c", "device": "m-1", "point": "p", "value": value})).unwrap();
        let device = DeviceName::try_from("m-1".to_owned()).unwrap();
        assert_eq!(parsed.id, "c");
        assert_eq!(parsed.order, Order::Write { device, point: "p".into(), value: expected });
        assert_eq!(parsed.validity, Validity::new(Said::default(), MINUTE));
    }
}

#[test]
fn a_publish_sends_a_string_as_its_bytes_and_anything_else_as_json() {
    for (payload, expected) in [
        (json!("on"), "on"),
        (json!(""), ""),
        (json!({"a": [1, null]}), r#"{"a":[1,null]}"#),
        (json!(null), "null"),
    ] {
        let order = read(&json!({"id": "c", "topic": "a/b", "payload": payload})).unwrap().order;
        let payload = Bytes::from(expected);
        assert_eq!(order, Order::Publish { topic: "a/b".into(), payload, qos: 1, retain: false });
    }
}

#[test]
fn expiries_are_read_in_any_zone_and_with_fractions() {
    let parsed = read(&json!({
        "id": "c", "topic": "t", "payload": 1, "qos": 2, "retain": true,
        "issued_at": "2023-11-14T23:13:20.5+01:00",
        "expires_at": "2023-11-14T22:13:25Z",
        "expires_in_s": 0.25,
    }));
    let said = Said {
        issued_at_millis: Some(1_700_000_000_500),
        expires_at_millis: Some(1_700_000_005_000),
        expires_in_millis: Some(250),
    };
    assert_eq!(parsed.unwrap().validity, Validity::new(said, MINUTE));
}

#[test]
fn a_misspelt_key_is_no_command() {
    let misspelt = json!({"id": "c", "device": "m", "point": "p", "value": 1, "expire_in_s": 1});
    assert!(reason(&misspelt).contains("expire_in_s"));
}

#[test]
fn what_is_wrong_is_said_and_the_id_comes_back() {
    for (command, expected) in [
        (json!({"id": "c"}), "either `device` or `topic`"),
        (json!({"id": "c", "device": "m", "topic": "t"}), "either `device` or `topic`"),
        (json!({"id": "c", "device": "m", "point": "p"}), "needs `point` and `value`"),
        (
            json!({"id": "c", "device": "m", "point": "p", "value": null}),
            "needs `point` and `value`",
        ),
        (json!({"id": "c", "device": "m", "point": "p", "value": [1]}), "malformed"),
        (json!({"id": "c", "device": "m/1", "point": "p", "value": 1}), "m/1"),
        (json!({"id": "c", "device": "m", "point": "p", "value": 1, "qos": 1}), "takes no"),
        (json!({"id": "c", "topic": "t"}), "needs `payload`"),
        (json!({"id": "c", "topic": "t", "payload": 1, "value": 2}), "takes no"),
        (json!({"id": "c", "topic": "t", "payload": 1, "qos": 3}), "`qos`"),
        (json!({"id": "c", "topic": "a/#", "payload": 1}), "`topic`"),
        (json!({"id": "c", "topic": "", "payload": 1}), "`topic`"),
        (json!({"id": "c", "topic": "$SYS/x", "payload": 1}), "`topic`"),
        (json!({"id": "c", "topic": "t", "payload": 1, "expires_in_s": -1}), "`expires_in_s`"),
        (json!({"id": "c", "topic": "t", "payload": 1, "expires_in_s": 1e300}), "`expires_in_s`"),
        (json!({"id": "c", "topic": "t", "payload": 1, "expires_at": "soon"}), "`expires_at`"),
        (json!({"id": "c", "topic": "t", "payload": 1, "issued_at": 5}), "malformed"),
    ] {
        let malformed = read(&command).expect_err(&command.to_string());
        assert!(malformed.reason.contains(expected), "{command}: {}", malformed.reason);
        assert_eq!(malformed.subject.id.as_deref(), Some("c"), "{command}");
    }
}

#[test]
fn a_key_that_comes_twice_takes_its_last_value_and_never_both() {
    let twice = br#"{"id":"c","topic":"t","payload":1,"expires_in_s":900,"expires_in_s":1}"#;
    let said = Said { expires_in_millis: Some(1_000), ..Said::default() };
    assert_eq!(parse("t", twice, MINUTE).unwrap().validity, Validity::new(said, MINUTE));
}

#[test]
fn an_id_that_cannot_be_used_is_refused() {
    for id in ["", "a\u{0}b", "a\nb", &"x".repeat(129)] {
        let command = json!({"id": id, "topic": "t", "payload": 1});
        assert!(reason(&command).contains("`id`"), "{id:?}");
    }
}

#[test]
fn an_id_is_made_only_where_it_tells_two_orders_from_one_that_came_twice() {
    let at = |time: &str| read(&json!({"topic": "t", "payload": 1, "issued_at": time})).unwrap().id;
    let first = at("2023-11-14T22:13:20Z");
    assert_eq!(first, at("2023-11-14T22:13:20Z"));
    assert_ne!(first, at("2023-11-14T22:13:21Z"));
    assert!(reason(&json!({"topic": "t", "payload": 1})).starts_with("id_missing"));
}

#[test]
fn what_is_not_json_or_too_large_is_refused() {
    for payload in [&b""[..], b"{", b"on", b"\xFF\xFE", b"[1]", b"7"] {
        let malformed = parse("t", payload, MINUTE).unwrap_err();
        assert!(malformed.reason.starts_with("malformed"), "{payload:?}");
        assert!(malformed.subject.id.is_some());
    }
    let large = vec![b' '; COMMAND_BYTES_MAX + 1];
    assert!(parse("t", &large, MINUTE).unwrap_err().reason.starts_with("too_large"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse("t", &payload, MINUTE);
    }

    #[test]
    fn no_json_makes_the_parser_panic(
        key in "id|device|point|value|topic|payload|qos|retain|issued_at|expires_at|expires_in_s|x",
        value in "[0-9]{1,30}|-?[0-9]e[0-9]{1,3}|\"\\PC{0,40}\"|null|true|\\[\\[\\]\\]|\\{\\}",
    ) {
        let text = format!(r#"{{"id":"c","topic":"t","payload":1,"{key}":{value}}}"#);
        let _ = parse("t", text.as_bytes(), MINUTE);
    }
}
