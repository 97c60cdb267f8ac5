//! Random delays, expiries, crashes and reboots: no stale command is carried out, none twice, and
//! each one that was acknowledged to the cloud is reported.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use holdfast_adapter_api::{Outcome, PendingCommand};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::support::*;
use crate::command::CommandSink;

const LIVES: u64 = 8;
const COMMANDS_PER_LIFE: u64 = 25;
const DEVICES: [&str; 3] = ["m-0", "m-1", "m-2"];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What truly happened on the wires.
#[derive(Default)]
struct Truth {
    written: Mutex<Vec<(String, Instant)>>,
    /// By when each command that was acknowledged to the cloud had to be carried out.
    stale_from: Mutex<HashMap<String, Instant>>,
}

/// An adapter that is slow at random, looks at the deadline last thing, and sometimes dies.
async fn adapter(mut commands: mpsc::Receiver<PendingCommand>, truth: Arc<Truth>, seed: u64) {
    let mut random = Random(seed);
    while let Some(pending) = commands.recv().await {
        tokio::time::sleep(Duration::from_millis(random.below(25))).await;
        let outcome = if Instant::now() >= pending.command.deadline {
            Outcome::Expired
        } else {
            truth.written.lock().unwrap().push((pending.command.id, Instant::now()));
            Outcome::Done { readback: None }
        };
        tokio::time::sleep(Duration::from_millis(random.below(10))).await;
        if random.below(20) > 0 {
            // The gateway may have crashed meanwhile.
            let _ = pending.reply.send(outcome);
        }
    }
}

async fn feed(gateway: &Gateway, truth: &Truth, random: &mut Random, life: u64) {
    for n in 0..COMMANDS_PER_LIFE {
        let id = format!("{life}-{n}");
        let lifetime = 1 + random.below(120);
        let device = DEVICES[random.below(3) as usize];
        let command = json!({"id": id, "device": device, "point": "p", "value": n,
                             "expires_in_s": lifetime as f64 / 1_000.0});
        let payload = Bytes::from(command.to_string());
        for _ in 0..=random.below(2) {
            gateway.commands.accept("gw-1/commands/x", &payload).await.unwrap();
            // From the end of `accept` on, for it came in at some time before.
            let stale_from = Instant::now() + Duration::from_millis(lifetime);
            truth.stale_from.lock().unwrap().entry(id.clone()).or_insert(stale_from);
        }
        tokio::time::sleep(Duration::from_millis(random.below(6))).await;
    }
}

async fn live(
    site: &TempDir,
    door: &Arc<TestDoor>,
    time: &Arc<Time>,
    truth: &Arc<Truth>,
    seed: u64,
) {
    let mut random = Random(seed);
    for life in 0..LIVES {
        let mut gateway = Gateway::start(site.path(), &DEVICES, door, time);
        for device in DEVICES {
            let seed = random.below(1 << 30);
            tokio::spawn(adapter(gateway.adapter(device), Arc::clone(truth), seed));
        }
        let crash_after = Duration::from_millis(random.below(150));
        // In half of the lives the crash comes in the middle of the commands.
        let _ = tokio::time::timeout(crash_after, feed(&gateway, truth, &mut random, life)).await;
        gateway.crash().await;
        if random.below(3) == 0 {
            time.reboot();
        }
    }
    let mut gateway = Gateway::start(site.path(), &DEVICES, door, time);
    for device in DEVICES {
        tokio::spawn(adapter(gateway.adapter(device), Arc::clone(truth), seed));
    }
    gateway.accept(&json!({"id": "last", "device": "m-0", "point": "p", "value": 0})).await;
    until("the last one is reported", || !door.outcomes_of("last").is_empty()).await;
    gateway.until_settled().await;
    gateway.stop().await;
}

#[test]
fn no_stale_command_is_carried_out_none_twice_and_each_is_reported() {
    for seed in 0..4 {
        run(async {
            let (site, door, time) = (TempDir::new().unwrap(), Arc::default(), Time::new());
            let truth = Arc::new(Truth::default());
            live(&site, &door, &time, &truth, seed).await;

            let stale_from = truth.stale_from.lock().unwrap();
            let mut ids = HashSet::new();
            for (id, at) in truth.written.lock().unwrap().iter().filter(|(id, _)| id != "last") {
                assert!(ids.insert(id.clone()), "seed {seed}: {id} was carried out twice");
                let stale = stale_from.get(id).is_some_and(|stale_from| at > stale_from);
                assert!(!stale, "seed {seed}: {id} was stale");
                let statuses = door.statuses(id);
                let right = statuses.iter().all(|status| status == "done" || status == "unknown");
                assert!(right && !statuses.is_empty(), "seed {seed}: {id}: {statuses:?}");
            }
            for id in stale_from.keys().filter(|id| !ids.contains(*id)) {
                let statuses = door.statuses(id);
                let right =
                    statuses.iter().all(|status| status == "expired" || status == "unknown");
                assert!(right && !statuses.is_empty(), "seed {seed}: {id}: {statuses:?}");
            }
            assert!(ids.len() > 10 && ids.len() < stale_from.len(), "{} written", ids.len());
        });
    }
}
