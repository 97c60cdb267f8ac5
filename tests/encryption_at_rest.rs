//! With a key, nobody reads the queue's messages off a stolen card; without it, the gateway says
//! which one it misses and throws nothing away.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::support::{Cloud, DeviceLog, Fleet, Gateway, Load, compare, folder};

const LIMIT: Duration = Duration::from_mins(1);
const KEY: &str = "5ec2e7000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c";
const OTHER_KEY: &str = "0000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d";
/// Part of every message's topic.
const SECRET: &str = "well-beneath-the-old-mill";

fn publish(gateway: &Gateway) -> Vec<DeviceLog> {
    let topic = format!("sensors/{SECRET}");
    let load = Load { devices: 4, messages_each: 250, topic, ..Load::default() };
    Fleet::start(load, gateway.address.clone()).finish(LIMIT).0
}

fn key_file(dir: &Path, lines: &str) -> PathBuf {
    let file = dir.join("queue.keys");
    fs::write(&file, lines).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn sections(key_file: &Path, uplink: &str) -> String {
    let compression = "[[stream]]\nname = \"telemetry\"\ncompression = \"zstd\"\n";
    format!("[queue]\nkey_file = \"{}\"\n{compression}{uplink}", key_file.display())
}

/// Whether a file of the queue holds the secret.
fn can_be_read(gateway: &Gateway) -> bool {
    let stream = gateway.data().join("queue/telemetry");
    let files = fs::read_dir(stream).unwrap().map(|entry| entry.unwrap().path());
    let contents = files.filter(|path| path.is_file()).map(|path| fs::read(path).unwrap());
    contents
        .into_iter()
        .any(|bytes| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()))
}

#[test]
fn a_stolen_card_tells_nothing_and_the_right_key_delivers_everything() {
    let dir = folder();
    let plain_dir = dir.path().join("plain");
    let mut plain = Gateway::new(&plain_dir, "");
    plain.start();
    publish(&plain);
    plain.kill();
    assert!(can_be_read(&plain), "without a key it is readable, or this test proves nothing");

    let mut cloud = Cloud::away(dir.path());
    let keys = key_file(dir.path(), KEY);
    let mut gateway = Gateway::new(&dir.path().join("gw"), &sections(&keys, &cloud.uplink()));
    gateway.start();
    let logs = publish(&gateway);
    gateway.kill();
    assert!(!can_be_read(&gateway));

    // The key is changed with messages in the queue.
    key_file(dir.path(), &format!("{OTHER_KEY}\n{KEY}\n"));
    gateway.start();
    assert_eq!(gateway.ledger().total("telemetry").queued, 1_000);
    let topic = format!("sensors/{SECRET}/later");
    let load = Load { devices: 1, messages_each: 50, topic, ..Load::default() };
    let later = Fleet::start(load, gateway.address.clone()).finish(LIMIT).0;
    assert!(!can_be_read(&gateway));
    cloud.comes_back();
    let ledger = gateway.drain_and_stop("telemetry", LIMIT);
    assert_eq!(ledger.total("telemetry").damaged, 0);
    cloud.recorder.flush();
    let arrives_at = |device: &str| format!("gw-test/sensors/{SECRET}/{device}");
    compare(&logs, &cloud.recorder, arrives_at).expect_nothing_lost();
    let arrives_at = |device: &str| format!("gw-test/sensors/{SECRET}/later/{device}");
    compare(&later, &cloud.recorder, arrives_at).expect_nothing_lost();
}

#[test]
fn a_gateway_without_the_key_says_so_and_leaves_the_messages_alone() {
    let dir = folder();
    let keys = key_file(dir.path(), KEY);
    let mut gateway = Gateway::new(&dir.path().join("gw"), &sections(&keys, ""));
    gateway.start();
    publish(&gateway);
    gateway.kill();

    let export = gateway.command(&["queue", "export"]);
    assert!(export.status.success(), "{export:?}");
    assert_eq!(String::from_utf8_lossy(&export.stdout).matches(SECRET).count(), 1_000);
    key_file(dir.path(), OTHER_KEY);
    for verb in ["ls", "verify", "export", "repair"] {
        let output = gateway.command(&["queue", verb]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("is encrypted with a key of tag"), "{verb}: {said}");
        assert!(said.contains("--key-file"), "{verb}: {said}");
        assert_eq!(output.status.code(), Some(78), "{verb}");
    }
    let output = gateway.command(&["ledger"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let output = gateway.command(&["check"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("queue.key_file"), "{output:?}");
    let right = dir.path().join("right.keys");
    fs::write(&right, KEY).unwrap();
    fs::set_permissions(&right, fs::Permissions::from_mode(0o600)).unwrap();
    let output = gateway.command(&["ledger", "--key-file", right.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let output = gateway.command(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is encrypted with a key of tag") && said.contains("key file"), "{said}");

    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let output = gateway.command(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("queue.key_file") && said.contains("chmod o="), "{said}");

    key_file(dir.path(), KEY);
    gateway.start();
    assert_eq!(gateway.ledger().total("telemetry").queued, 1_000);
    gateway.stop();
    gateway.ledger().expect_exact();
}
