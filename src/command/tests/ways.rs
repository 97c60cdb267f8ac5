//! The ways a command can go.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use holdfast_adapter_api::{Outcome, Value};
use serde_json::json;
use tempfile::TempDir;

use super::support::*;
use crate::{
    broker::QoS,
    command::{CommandSink, SinkError},
    config,
    queue::Refusal,
};

fn write(id: &str, device: &str) -> serde_json::Value {
    json!({"id": id, "device": device, "point": "setpoint", "value": 42})
}

#[test]
fn a_write_goes_to_its_adapter_and_its_outcome_to_the_cloud() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let mut adapter = gateway.adapter("m-1");
        gateway.accept(&write("c-1", "m-1")).await;
        let pending = adapter.recv().await.unwrap();
        assert_eq!(pending.command.id, "c-1");
        assert_eq!(
            (&*pending.command.point, &pending.command.value),
            ("setpoint", &Value::Int(42))
        );
        pending.reply.send(Outcome::Done { readback: Some(Value::Float(41.5)) }).unwrap();
        gateway.until_settled().await;

        let outcomes = door.outcomes();
        assert_eq!(outcomes.len(), 1);
        let outcome = outcomes[0].as_object().unwrap();
        let keys: Vec<&str> = outcome.keys().map(String::as_str).collect();
        let expected = [
            "device",
            "finished",
            "gateway",
            "id",
            "point",
            "readback",
            "received",
            "status",
            "ts_trusted",
        ];
        assert_eq!(keys, expected);
        assert_eq!(outcome["status"], "done");
        assert_eq!(outcome["readback"], 41.5);
        assert_eq!(outcome["gateway"], "gw-1");
        assert_eq!(outcome["ts_trusted"], true);
        assert!(outcome["received"].as_str().unwrap().starts_with("2023-11-14T22:13:2"));
        assert_eq!(gateway.commands.counts().done, 1);
        gateway.stop().await;
    });
}

#[test]
fn what_an_adapter_says_of_a_command_is_what_the_cloud_gets() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let mut adapter = gateway.adapter("m-1");
        for (id, outcome, status) in [
            ("a", Some(Outcome::Expired), "expired"),
            ("b", Some(Outcome::Rejected { reason: "why".into() }), "rejected"),
            ("c", Some(Outcome::Failed { reason: "why".into() }), "failed"),
            ("d", None, "unknown"),
        ] {
            gateway.accept(&write(id, "m-1")).await;
            let pending = adapter.recv().await.unwrap();
            match outcome {
                Some(outcome) => pending.reply.send(outcome).unwrap(),
                None => drop(pending.reply),
            }
            gateway.until_settled().await;
            assert_eq!(door.statuses(id), [status]);
        }
        drop(adapter);
        gateway.accept(&write("e", "m-1")).await;
        gateway.until_settled().await;
        assert_eq!(door.statuses("e"), ["failed"]);
        gateway.stop().await;
    });
}

#[test]
fn a_publish_waits_for_a_subscriber_and_expires_with_its_command() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let gateway = Gateway::start(dir.path(), &[], &door, &time);
        gateway
            .accept(&json!({"id": "p", "topic": "pump/set", "payload": {"on": true}, "qos": 2, "expires_in_s": 30}))
            .await;
        gateway.accept(&json!({"id": "q", "topic": "lamp/set", "payload": "on"})).await;
        door.listen("lamp/set");
        until("q is not held up by p", || door.statuses("q") == ["delivered"]).await;
        assert!(door.statuses("p").is_empty());
        door.listen("pump/set");
        gateway.until_settled().await;
        assert_eq!(door.statuses("p"), ["delivered"]);

        let pump = door.delivered().pop().unwrap();
        assert_eq!((&*pump.topic, &*pump.payload), ("pump/set", &br#"{"on":true}"#[..]));
        assert_eq!((pump.qos, pump.retain), (QoS::ExactlyOnce, false));
        let expiry = pump.properties.unwrap().message_expiry_interval.unwrap();
        assert!((1..30).contains(&expiry), "{expiry}");
        gateway.stop().await;
    });
}

#[test]
fn publishes_on_one_topic_keep_their_order_while_they_wait() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let gateway = Gateway::start(dir.path(), &[], &door, &time);
        for n in 0..5 {
            let id = format!("p-{n}");
            gateway.accept(&json!({"id": id, "topic": "t", "payload": n})).await;
        }
        door.listen("t");
        gateway.commands.subscribers_changed();
        gateway.until_settled().await;
        let order: Vec<Bytes> = door.delivered().into_iter().map(|m| m.payload).collect();
        assert_eq!(order, ["0", "1", "2", "3", "4"]);
        gateway.stop().await;
    });
}

#[test]
fn a_publish_that_nobody_hears_in_time_expires() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let gateway = Gateway::start(dir.path(), &[], &door, &time);
        gateway.accept(&json!({"id": "p", "topic": "t", "payload": 1})).await;
        time.advance(Duration::from_mins(1));
        door.listen("t");
        gateway.until_settled().await;
        assert_eq!(door.statuses("p"), ["expired"]);
        assert!(door.delivered().is_empty());
        gateway.stop().await;
    });
}

#[test]
fn a_retained_publish_is_published_once() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let gateway = Gateway::start(dir.path(), &[], &door, &time);
        gateway.accept(&json!({"id": "p", "topic": "t", "payload": 1, "retain": true})).await;
        gateway.until_settled().await;
        assert_eq!(door.statuses("p"), ["delivered"]);
        let delivered = door.delivered();
        assert!(delivered.len() == 1 && delivered[0].retain);
        gateway.stop().await;
    });
}

#[test]
fn a_command_that_comes_again_is_not_carried_out_again() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let written = gateway.prompt_adapter("m-1");
        gateway.accept(&write("c", "m-1")).await;
        gateway.accept(&write("c", "m-1")).await;
        gateway.until_settled().await;
        gateway.accept(&write("c", "m-1")).await;
        gateway.accept(&write("d", "m-1")).await;
        gateway.until_settled().await;
        assert_eq!(*written.lock().unwrap(), ["c", "d"]);
        assert_eq!(gateway.commands.counts().duplicates, 2);
        gateway.stop().await;

        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let written = gateway.prompt_adapter("m-1");
        gateway.accept(&write("d", "m-1")).await;
        gateway.accept(&write("e", "m-1")).await;
        gateway.until_settled().await;
        assert_eq!(*written.lock().unwrap(), ["e"]);
        gateway.stop().await;
    });
}

#[test]
fn what_cannot_be_carried_out_is_acknowledged_and_reported_and_leaves_the_downlink_free() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let written = gateway.prompt_adapter("m-1");
        for payload in [&b"not json"[..], b"", &vec![b'x'; 200_000]] {
            let payload = Bytes::copy_from_slice(payload);
            gateway.commands.accept("gw-1/commands/x", &payload).await.unwrap();
        }
        gateway.accept(&write("u", "m-9")).await;
        gateway.accept(&json!({"id": "p", "topic": "a/#", "payload": 1})).await;
        // Numbers that grow as they are written out again.
        let grown = format!(r#"{{"id":"g","topic":"t","payload":[{}9E9]}}"#, "9E9,".repeat(30_000));
        gateway.commands.accept("gw-1/commands/x", &Bytes::from(grown)).await.unwrap();
        gateway.accept(&write("ok", "m-1")).await;
        gateway.until_settled().await;

        let reasons: Vec<String> =
            door.outcomes().iter().map(|o| o["reason"].as_str().unwrap_or("").to_owned()).collect();
        let expected =
            ["malformed", "malformed", "too_large", "unknown_device", "malformed", "too_large", ""];
        assert!(reasons.iter().zip(expected).all(|(a, b)| a.starts_with(b)), "{reasons:?}");
        assert_eq!(door.outcomes_of("u")[0]["device"], "m-9");
        assert_eq!(*written.lock().unwrap(), ["ok"]);
        assert_eq!(gateway.commands.counts().rejected, 6);

        door.refuse(Some(Refusal::StreamFull));
        gateway.accept(&write("u-2", "m-9")).await;
        assert_eq!(gateway.commands.counts().unreported, 1);
        gateway.stop().await;
    });
}

#[test]
fn a_full_inbox_rejects_and_goes_on() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let config = config::Commands { pending_max: 3, ..config() };
        let gateway = Gateway::with_config(dir.path(), &[], &door, &time, &config);
        for n in 0..5 {
            let id = format!("p-{n}");
            gateway.accept(&json!({"id": id, "topic": "t", "payload": 1})).await;
        }
        assert_eq!(gateway.commands.pending(), 3);
        assert_eq!(door.statuses("p-3"), ["rejected"]);
        assert!(door.outcomes_of("p-4")[0]["reason"].as_str().unwrap().starts_with("inbox_full"));
        door.listen("t");
        gateway.until_settled().await;
        gateway.accept(&json!({"id": "p-4", "topic": "t", "payload": 1})).await;
        gateway.until_settled().await;
        assert_eq!(door.statuses("p-4"), ["rejected", "delivered"], "a rejected id may try again");
        gateway.stop().await;
    });
}

#[test]
fn a_slow_device_holds_up_neither_another_nor_a_publish_and_keeps_its_order() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["slow", "fast"], &door, &time);
        let mut slow = gateway.adapter("slow");
        let written = gateway.prompt_adapter("fast");
        for n in 0..5 {
            gateway.accept(&write(&format!("s-{n}"), "slow")).await;
        }
        door.listen("t");
        gateway.accept(&write("f", "fast")).await;
        gateway.accept(&json!({"id": "p", "topic": "t", "payload": 1})).await;
        until("the others are done", || gateway.commands.pending() == 5).await;
        assert_eq!(*written.lock().unwrap(), ["f"]);
        assert_eq!(door.statuses("p"), ["delivered"]);
        for n in 0..5 {
            let pending = slow.recv().await.unwrap();
            assert_eq!(pending.command.id, format!("s-{n}"));
            pending.reply.send(Outcome::Done { readback: None }).unwrap();
        }
        gateway.until_settled().await;
        gateway.stop().await;
    });
}

#[test]
fn an_outcome_that_the_queue_does_not_take_is_reported_when_it_does() {
    run(async {
        let (dir, door, time) =
            (TempDir::new().unwrap(), Arc::new(TestDoor::default()), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let written = gateway.prompt_adapter("m-1");
        door.refuse(Some(Refusal::StreamFull));
        gateway.accept(&write("c", "m-1")).await;
        until("it is written", || written.lock().unwrap().len() == 1).await;
        assert_eq!((gateway.commands.pending(), door.outcomes().len()), (1, 0));
        door.refuse(None);
        gateway.until_settled().await;
        assert_eq!(door.statuses("c"), ["done"]);
        gateway.stop().await;
    });
}

#[test]
fn an_outcome_that_can_never_be_reported_does_not_block_its_device() {
    run(async {
        let (dir, door, time) =
            (TempDir::new().unwrap(), Arc::new(TestDoor::default()), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        gateway.prompt_adapter("m-1");
        door.refuse(Some(Refusal::TopicInvalid));
        gateway.accept(&write("c", "m-1")).await;
        gateway.until_settled().await;
        assert_eq!(gateway.commands.counts().unreported, 1);
        gateway.stop().await;
    });
}

#[test]
fn a_command_that_its_adapter_has_no_room_for_expires_unwritten() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let mut adapter = gateway.adapter("m-1");
        // Two take the whole room: one in the channel, one that is answered late.
        gateway.accept(&write("a", "m-1")).await;
        let a = adapter.recv().await.unwrap();
        let b = json!({"id": "b", "device": "m-1", "point": "p", "value": 1, "expires_in_s": 0.05});
        gateway.accept(&b).await;
        time.advance(Duration::from_millis(60));
        a.reply.send(Outcome::Done { readback: None }).unwrap();
        gateway.until_settled().await;
        assert_eq!(door.statuses("b"), ["expired"]);
        assert!(adapter.try_recv().is_err());
        gateway.stop().await;
    });
}

#[test]
fn a_wall_time_expiry_waits_for_a_clock_that_can_be_believed() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        time.trusted.store(false, Ordering::SeqCst);
        let mut gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        let written = gateway.prompt_adapter("m-1");
        let until_later = |id: &str| {
            json!({"id": id, "device": "m-1", "point": "p", "value": 1,
                   "expires_at": "2033-01-01T00:00:00Z"})
        };
        gateway.accept(&until_later("never")).await;
        time.advance(Duration::from_mins(1));
        gateway.until_settled().await;
        let outcome = &door.outcomes_of("never")[0];
        assert_eq!(
            (&outcome["status"], &outcome["ts_trusted"]),
            (&json!("rejected"), &json!(false))
        );
        assert!(outcome["reason"].as_str().unwrap().starts_with("clock_untrusted"));

        gateway.accept(&until_later("later")).await;
        assert!(written.lock().unwrap().is_empty());
        time.trusted.store(true, Ordering::SeqCst);
        gateway.until_settled().await;
        assert_eq!(*written.lock().unwrap(), ["later"]);
        gateway.stop().await;
    });
}

#[test]
fn a_command_that_cannot_be_stored_is_not_acknowledged() {
    run(async {
        let (dir, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
        let gateway = Gateway::start(dir.path(), &["m-1"], &door, &time);
        gateway.accept(&json!({"id": "p", "topic": "t", "payload": 1})).await;
        gateway.state.close().await;
        let payload = Bytes::from(write("c", "m-1").to_string());
        let refused = gateway.commands.accept("gw-1/commands/x", &payload).await;
        assert!(matches!(refused, Err(SinkError::Storage(_))));
        assert_eq!(gateway.commands.pending(), 1);
        gateway.stop().await;
    });
}
