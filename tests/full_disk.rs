//! Promise 6: a full stream and a full disk are states, in which everything else goes on.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{
    Cloud, Counts, Fleet, Gateway, Load, Subscriber, compare, expect_success, folder, holds_for,
    mosquitto_pub, wait_until,
};

const LIMIT: Duration = Duration::from_mins(2);
/// Devices that publish more than the stream may hold: 40,000 × 1 kB.
const TOO_MUCH: u64 = 40_000;
const SMALL_STREAM: &str = "\n[[stream]]\nname = \"telemetry\"\nbytes_max = 16777216\n";

fn too_much() -> Load {
    Load { messages_each: TOO_MUCH / 20, payload_bytes: 1_000, ..Load::default() }
}

fn total(gateway: &Gateway) -> Counts {
    let ledger = gateway.ledger();
    ledger.expect_exact();
    ledger.total("telemetry")
}

fn gateway_with(cloud: &Cloud, folder: &Path, policy: &str) -> Gateway {
    let stream = format!("{}\n{SMALL_STREAM}on_full = \"{policy}\"\n", cloud.uplink());
    let mut gateway = Gateway::new(&folder.join("gateway"), &stream);
    gateway.start();
    gateway
}

#[test]
fn heavy_a_full_stream_drops_its_oldest_and_delivers_the_newest_in_order() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let mut gateway = gateway_with(&cloud, folder.path(), "drop_oldest");
    let (logs, _) = Fleet::start(too_much(), gateway.address.clone()).finish(LIMIT);
    let held = total(&gateway);
    assert_eq!(held.accepted, TOO_MUCH);
    assert!(held.evicted > TOO_MUCH / 4, "{held:?}");
    cloud.comes_back();
    let after = gateway.drain_and_stop("telemetry", LIMIT).total("telemetry");
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    assert_eq!(verdict.out_of_order, [""; 0]);
    assert_eq!(verdict.arrived, after.delivered, "{after:?}");
    assert_eq!(after.delivered + after.evicted, TOO_MUCH, "{after:?}");
    let record = cloud.recorder.record();
    for log in &logs {
        let firsts = &record.numbered[&format!("gw-test/sensors/{}", log.name)].firsts;
        assert_eq!(*firsts.last().unwrap() + 1, TOO_MUCH / 20, "{}: the newest is there", log.name);
        assert!(firsts[0] > 0, "{}: the oldest made room", log.name);
    }
}

#[test]
fn heavy_a_full_stream_that_drops_the_newest_keeps_the_oldest() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let mut gateway = gateway_with(&cloud, folder.path(), "drop_newest");
    let (logs, _) = Fleet::start(too_much(), gateway.address.clone()).finish(LIMIT);
    let held = total(&gateway);
    assert_eq!(held.accepted, TOO_MUCH);
    assert!(held.evicted > TOO_MUCH / 4, "{held:?}");
    cloud.comes_back();
    let after = gateway.drain_and_stop("telemetry", LIMIT).total("telemetry");
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    assert_eq!(verdict.arrived, after.delivered, "{after:?}");
    let record = cloud.recorder.record();
    for log in &logs {
        let firsts = &record.numbered[&format!("gw-test/sensors/{}", log.name)].firsts;
        assert_eq!(firsts[0], 0, "{}: the oldest is there", log.name);
    }
}

#[test]
fn heavy_a_full_stream_that_rejects_leaves_the_messages_with_the_devices() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let mut gateway = gateway_with(&cloud, folder.path(), "reject");
    let fleet = Fleet::start(too_much(), gateway.address.clone());
    wait_until("the stream is full and says so", LIMIT, || {
        total(&gateway).refused.get("stream_full").copied().unwrap_or(0) > 0
    });
    let full = fleet.acknowledged();
    assert!(full < TOO_MUCH, "everything was acknowledged");
    assert!(holds_for(Duration::from_secs(1), || fleet.acknowledged() == full));
    cloud.comes_back();
    let (logs, _) = fleet.finish(LIMIT);
    let after = gateway.drain_and_stop("telemetry", LIMIT).total("telemetry");
    cloud.recorder.flush();
    compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"))
        .expect_nothing_lost();
    assert_eq!(after.evicted, 0, "{after:?}");
}

/// A small file system in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(&at);
        expect_success(command);
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, in case something still looks at it; there is nobody to tell of an error.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Needs root, to mount; `tests/run` leaves it out for others and says so.
#[test]
fn heavy_as_root_a_full_disk_stops_neither_the_gateway_nor_its_local_side() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let own = folder.path().join("gateway");
    let disk = SmallDisk::mount(own.join("data"));
    let mut gateway = Gateway::new(&own, &cloud.uplink());
    gateway.start();
    let load = Load { messages_each: 4_000, payload_bytes: 1_000, ..Load::default() };
    let fleet = Fleet::start(load, gateway.address.clone());
    // 80 MB onto 48: the stream's policy, drop_oldest, makes room.
    let (logs, _) = fleet.finish(LIMIT);
    gateway.expect_running();
    let held = total(&gateway);
    assert!(held.evicted > 0, "{held:?}");
    let address = gateway.address.get();
    let local = Subscriber::start(folder.path(), address, &["-t", "local/#", "-q", "1"]);
    mosquitto_pub(address, &["-t", "local/x", "-m", "still here", "-q", "1"]);
    local.wait_line("local/x still here");

    cloud.comes_back();
    let after = gateway.drain_and_stop("telemetry", LIMIT).total("telemetry");
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    assert_eq!(verdict.out_of_order, [""; 0]);
    assert_eq!(verdict.arrived, after.delivered, "{after:?}");
    drop(disk);
}
