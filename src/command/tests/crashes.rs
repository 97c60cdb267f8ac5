//! A crash at every step: nothing is carried out twice, nothing is forgotten.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use holdfast_adapter_api::Outcome;
use serde_json::json;
use tempfile::TempDir;

use super::support::*;
use crate::queue::Refusal;

fn write(id: &str) -> serde_json::Value {
    json!({"id": id, "device": "m-1", "point": "setpoint", "value": 42})
}

struct Site {
    dir: TempDir,
    door: Arc<TestDoor>,
    time: Arc<Time>,
}

impl Site {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), door: Arc::default(), time: Time::new() }
    }

    fn start(&self) -> Gateway {
        Gateway::start(self.dir.path(), &["m-1"], &self.door, &self.time)
    }

    /// Starts, lets everything settle, stops; what was written in this life.
    async fn settle(&self) -> Vec<String> {
        let mut gateway = self.start();
        let written = gateway.prompt_adapter("m-1");
        gateway.accept(&write("last")).await;
        gateway.until_settled().await;
        gateway.stop().await;
        let mut written = written.lock().unwrap().clone();
        assert_eq!(written.pop().as_deref(), Some("last"));
        written
    }
}

#[test]
fn after_a_crash_before_it_is_started_a_command_is_carried_out() {
    run(async {
        let site = Site::new();
        let mut gateway = site.start();
        let mut adapter = gateway.adapter("m-1");
        gateway.accept(&write("in the adapter's hands")).await;
        let held = adapter.recv().await.unwrap();
        gateway.accept(&write("waiting")).await;
        gateway.crash().await;
        drop(held);
        assert_eq!(site.settle().await, ["waiting"]);
        assert_eq!(site.door.statuses("waiting"), ["done"]);
        assert_eq!(site.door.statuses("in the adapter's hands"), ["unknown"]);
    });
}

#[test]
fn after_a_crash_between_writing_and_reporting_the_outcome_is_reported_and_nothing_written() {
    run(async {
        let site = Site::new();
        let mut gateway = site.start();
        let mut adapter = gateway.adapter("m-1");
        site.door.refuse(Some(Refusal::StorageFailed));
        gateway.accept(&write("c")).await;
        let pending = adapter.recv().await.unwrap();
        pending.reply.send(Outcome::Done { readback: None }).unwrap();
        let state = gateway.state.table("commands.inbox");
        let give_up = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            let (_, entry) = state.scan(None, 1).await.unwrap().pop().unwrap();
            if String::from_utf8(entry).unwrap().contains("\"finished\":{") {
                break;
            }
            assert!(std::time::Instant::now() < give_up);
            tokio::task::yield_now().await;
        }
        gateway.crash().await;
        site.door.refuse(None);
        assert!(site.settle().await.is_empty());
        assert_eq!(site.door.statuses("c"), ["done"]);
    });
}

#[test]
fn after_a_stop_in_order_a_waiting_command_is_carried_out_at_the_next_start() {
    run(async {
        let site = Site::new();
        let gateway = site.start();
        gateway.accept(&json!({"id": "p", "topic": "t", "payload": 1})).await;
        gateway.stop().await;
        site.door.listen("t");
        site.settle().await;
        assert_eq!(site.door.statuses("p"), ["delivered"]);
        assert_eq!(site.door.delivered().len(), 1);
    });
}

#[test]
fn after_a_reboot_with_a_wrong_clock_no_kept_command_is_carried_out() {
    run(async {
        let site = Site::new();
        let mut gateway = site.start();
        let _busy = gateway.adapter("m-1");
        for id in ["a", "b", "c"] {
            gateway.accept(&write(id)).await;
        }
        gateway.crash().await;
        site.time.reboot();
        site.time.trusted.store(false, Ordering::SeqCst);
        assert!(site.settle().await.is_empty());
        assert_eq!(site.door.statuses("b"), ["expired"]);
        assert_eq!(site.door.statuses("c"), ["expired"]);
    });
}

#[test]
fn after_a_quick_reboot_with_a_right_clock_a_kept_command_is_carried_out() {
    run(async {
        let site = Site::new();
        let mut gateway = site.start();
        let _busy = gateway.adapter("m-1");
        gateway.accept(&write("a")).await;
        gateway.accept(&write("b")).await;
        gateway.crash().await;
        site.time.reboot();
        let written = site.settle().await;
        assert_eq!(written.last().map(String::as_str), Some("b"));
    });
}

#[test]
fn a_command_kept_through_a_long_outage_of_the_gateway_is_not_carried_out() {
    run(async {
        let site = Site::new();
        let mut gateway = site.start();
        let _busy = gateway.adapter("m-1");
        gateway.accept(&write("a")).await;
        gateway.accept(&write("b")).await;
        gateway.crash().await;
        site.time.advance(Duration::from_secs(61));
        assert!(site.settle().await.is_empty());
        assert_eq!(site.door.statuses("b"), ["expired"]);
    });
}

#[test]
fn commands_that_a_repair_of_the_state_store_brought_back_are_unknown() {
    run(async {
        let site = Site::new();
        let mut gateway = site.start();
        gateway.adapter("m-1").close();
        gateway.accept(&json!({"id": "p", "topic": "t", "payload": 1})).await;
        gateway.stop().await;
        std::fs::write(site.dir.path().join("state/db"), b"rubbish").unwrap();
        site.door.listen("t");
        assert!(site.settle().await.is_empty());
        assert_eq!(site.door.statuses("p"), ["unknown"]);
        assert!(site.door.delivered().is_empty());
    });
}

#[test]
fn a_command_for_a_device_that_is_no_longer_configured_is_rejected() {
    run(async {
        let site = Site::new();
        let mut gateway = site.start();
        let mut adapter = gateway.adapter("m-1");
        gateway.accept(&write("a")).await;
        let _held = adapter.recv().await.unwrap();
        gateway.accept(&write("b")).await;
        gateway.crash().await;
        let gateway = Gateway::start(site.dir.path(), &["m-2"], &site.door, &site.time);
        until("both are settled", || site.door.outcomes().len() == 2).await;
        gateway.until_settled().await;
        assert_eq!(site.door.statuses("a"), ["unknown"]);
        assert_eq!(site.door.statuses("b"), ["rejected"]);
        gateway.stop().await;
    });
}
