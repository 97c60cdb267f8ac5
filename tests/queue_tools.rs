//! The tools for the queue's folder: they look without touching, and they carry the backlog of a
//! dead gateway to the one that replaces it, each message once.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime},
};

mod output;

use crate::support::{
    Cloud, DeviceLog, Fleet, Gateway, Load, compare, folder, holdfast, wait_until,
};

const LIMIT: Duration = Duration::from_mins(1);
const DEVICES: usize = 4;
const MESSAGES_EACH: u64 = 500;
const MESSAGES: u64 = DEVICES as u64 * MESSAGES_EACH;

fn load() -> Load {
    Load { devices: DEVICES, messages_each: MESSAGES_EACH, ..Load::default() }
}

/// A gateway that took in everything while the cloud was away, and was killed.
fn killed_with_a_backlog(own: &Path, uplink: &str) -> (Gateway, Vec<DeviceLog>) {
    let mut gateway = Gateway::new(own, uplink);
    gateway.start();
    let (logs, _) = Fleet::start(load(), gateway.address.clone()).finish(LIMIT);
    gateway.kill();
    (gateway, logs)
}

fn queue(gateway: &Gateway) -> PathBuf {
    gateway.data().join("queue")
}

fn tool(arguments: &[&str]) -> Output {
    Command::new(holdfast()).arg("queue").args(arguments).output().unwrap()
}

fn on(dir: &Path, arguments: &[&str]) -> Output {
    tool(&[arguments, &["--dir", dir.to_str().unwrap()]].concat())
}

fn printed(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{}\n{}", output.status, String::from_utf8_lossy(&both))
}

#[track_caller]
fn expect(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", printed(output));
    printed(output)
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", printed(output)))
}

/// Names, bytes and times of everything below a folder.
fn fingerprint(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, modified) = (entry.path(), entry.metadata().unwrap().modified().unwrap());
        if path.is_dir() {
            found.extend(fingerprint(&path));
            found.insert(path, (modified, Vec::new()));
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, (modified, content));
        }
    }
    found
}

fn first_segment(queue: &Path) -> PathBuf {
    let files = fs::read_dir(queue.join("telemetry")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|e| e == "seg")).min().unwrap()
}

/// Changes the topic of some message in the first segment.
fn damage_one(queue: &Path) {
    let segment = first_segment(queue);
    let mut content = fs::read(&segment).unwrap();
    let topic = b"gw-test/sensors/d00";
    let at = content.windows(topic.len()).position(|window| window == topic).unwrap();
    content[at + 2] ^= 1;
    fs::write(&segment, content).unwrap();
}

#[test]
fn the_backlog_of_a_dead_gateway_reaches_the_cloud_through_its_replacement() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let (old, logs) = killed_with_a_backlog(&folder.path().join("old"), &cloud.uplink());

    let before = fingerprint(&queue(&old));
    let listed = json(&on(&queue(&old), &["ls", "--json"]));
    let telemetry =
        listed["streams"].as_array().unwrap().iter().find(|s| s["stream"] == "telemetry");
    assert_eq!(telemetry.unwrap()["queued"], MESSAGES, "{listed}");
    let text = expect(&on(&queue(&old), &["ls"]), 0);
    assert!(text.contains("telemetry") && text.contains(&MESSAGES.to_string()), "{text}");
    let text = expect(&on(&queue(&old), &["show", "telemetry", "--from", "7", "--count", "2"]), 0);
    assert!(text.contains("\n7 ") && text.contains("gw-test/sensors/d0"), "{text}");
    let text = expect(&on(&queue(&old), &["show", "telemetry", "--files"]), 0);
    assert!(text.contains(".seg") && text.contains("cursor.0"), "{text}");
    let text = expect(&on(&queue(&old), &["verify"]), 0);
    assert!(text.contains("nothing is wrong"), "{text}");
    let backlog = folder.path().join("backlog.jsonl");
    let export = ["export", "--output", backlog.to_str().unwrap()];
    expect(&on(&queue(&old), &export), 0);
    assert!(fingerprint(&queue(&old)) == before, "looking changed something");
    let lines = fs::read_to_string(&backlog).unwrap();
    assert_eq!(lines.lines().count() as u64, MESSAGES + 2);

    let mut new = Gateway::new(&folder.path().join("new"), &cloud.uplink());
    let import = ["queue", "import", backlog.to_str().unwrap()];
    expect(&new.command(&import), 0);
    let again = expect(&new.command(&import), 0);
    assert!(again.contains("everything was taken over before"), "{again}");
    let ledger = new.ledger();
    ledger.expect_exact();
    let page = ledger.streams.iter().find(|page| page.stream == "telemetry").unwrap();
    assert_eq!(page.sources.len(), DEVICES, "under their sources: {page:?}");

    cloud.comes_back();
    new.start();
    let ledger = new.drain_and_stop("telemetry", LIMIT);
    cloud.recorder.flush();
    let verdict = compare(&logs, &cloud.recorder, |device| format!("gw-test/sensors/{device}"));
    verdict.expect_nothing_lost();
    assert_eq!((verdict.acknowledged, verdict.duplicates), (MESSAGES, 0));
    assert_eq!(ledger.total("telemetry").delivered, MESSAGES);
    // What is delivered is not taken over again either, whichever way it comes.
    let from_dir =
        ["queue", "import", "--from-dir", &queue(&old).display().to_string()].map(str::to_owned);
    let from_dir: Vec<_> = from_dir.iter().map(String::as_str).collect();
    let text = expect(&new.command(&from_dir), 0);
    assert!(text.contains("everything was taken over before"), "{text}");
}

#[test]
fn an_import_that_is_killed_in_the_middle_goes_on_where_it_was() {
    const RECORDS: u64 = 20_000;
    let folder = folder();
    let mut old = Gateway::new(&folder.path().join("old"), "");
    old.start();
    let many = Load { devices: 10, messages_each: RECORDS / 10, ..Load::default() };
    Fleet::start(many, old.address.clone()).finish(LIMIT);
    old.kill();
    let backlog = folder.path().join("backlog.jsonl");
    expect(&on(&queue(&old), &["export", "-o", backlog.to_str().unwrap()]), 0);

    let new = Gateway::new(&folder.path().join("new"), "");
    let (mut killed, mut kills) = (0, 0);
    for batches in 1..20 {
        let mut import = Command::new(holdfast());
        import.args(["queue", "import"]).arg(&backlog).arg("--config").arg(new.config());
        let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Its file of imports grows with every batch; each round waits for some more.
        let file = queue(&new).join("imports");
        let mut seen = fs::read(&file).unwrap_or_default();
        let mut changes = 0;
        wait_until("the import has come some way", LIMIT, || {
            let now = fs::read(&file).unwrap_or_default();
            changes += usize::from(now != seen);
            seen = now;
            changes > batches % 2 || import.try_wait().unwrap().is_some()
        });
        killed += u32::from(import.try_wait().unwrap().is_none());
        // It may have ended by itself.
        let _ = import.kill();
        if import.wait().unwrap().success() {
            break;
        }
        kills += 1;
    }
    assert!(killed > 0, "no import was killed in the middle");
    let text = expect(&new.command(&["queue", "import", backlog.to_str().unwrap()]), 0);
    println!("killed {kills} times; then: {text}");
    let ledger = new.ledger();
    ledger.expect_exact();
    assert_eq!(ledger.total("telemetry").queued, RECORDS);
    let there = on(&queue(&new), &["export"]);
    let mut messages = BTreeMap::<_, u32>::new();
    for line in String::from_utf8(there.stdout).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(topic) = line["topic"].as_str() {
            *messages.entry((topic.to_owned(), line["payload"].to_string())).or_default() += 1;
        }
    }
    assert_eq!(messages.len() as u64, RECORDS);
    assert!(messages.values().all(|count| *count == 1), "some are there twice");
}

#[test]
fn damage_is_named_and_repaired_and_the_rest_goes_on() {
    let folder = folder();
    let (gateway, _) = killed_with_a_backlog(folder.path(), "");
    let dir = queue(&gateway);
    damage_one(&dir);
    let report = json(&on(&dir, &["verify", "--json"]));
    assert_eq!(report["damage"].as_array().unwrap().len(), 1, "{report}");
    let text = expect(&on(&dir, &["verify"]), 3);
    assert!(text.contains("1 damaged record(s)") && text.contains(".seg bytes"), "{text}");
    let text = expect(&on(&dir, &["export", "-o", folder.path().join("b").to_str().unwrap()]), 0);
    assert!(text.contains("1 queued record(s) are damaged"), "{text}");
    let before = fingerprint(&dir);
    let text = expect(&on(&dir, &["repair", "--dry-run"]), 0);
    assert!(text.contains("would count 1 record(s)"), "{text}");
    assert!(fingerprint(&dir) == before, "a dry run changed something");
    let text = expect(&gateway.command(&["queue", "repair"]), 0);
    assert!(text.contains("counted 1 record(s)") && text.contains("quarantine/"), "{text}");
    let text = expect(&gateway.command(&["queue", "repair"]), 0);
    assert!(text.contains("nothing was wrong"), "{text}");
    expect(&on(&dir, &["verify"]), 0);
    let ledger = gateway.ledger();
    ledger.expect_exact();
    let total = ledger.total("telemetry");
    assert_eq!((total.damaged, total.queued), (1, MESSAGES - 1));
}

#[test]
fn a_dry_run_ends_as_the_repair_does_and_nothing_is_done_where_nothing_is_wrong() {
    let folder = folder();
    let (gateway, _) = killed_with_a_backlog(folder.path(), "");
    let dir = queue(&gateway);
    expect(&gateway.command(&["queue", "repair"]), 0);
    let text = expect(&on(&dir, &["repair", "--dry-run"]), 0);
    assert!(text.contains("there is nothing to repair"), "{text}");
    let before = fingerprint(&dir);
    let text = expect(&gateway.command(&["queue", "repair"]), 0);
    assert!(text.contains("nothing was wrong") && !text.contains("wrote"), "{text}");
    assert!(fingerprint(&dir) == before, "a repair of nothing changed something");
    // The header stays damaged as long as there is a record in the segment, and costs nothing.
    let segment = first_segment(&dir);
    let mut content = fs::read(&segment).unwrap();
    content[3] ^= 1;
    fs::write(&segment, content).unwrap();
    let text = expect(&on(&dir, &["repair", "--dry-run"]), 0);
    assert!(
        text.contains("there is nothing to repair") && text.contains("the header of"),
        "{text}"
    );
    let text = expect(&gateway.command(&["queue", "repair"]), 0);
    assert!(text.contains("nothing was wrong that needs repair"), "{text}");
    let text = expect(&on(&dir, &["verify"]), 0);
    assert!(text.contains("the header of") && text.contains("nothing needs repair"), "{text}");
}

#[test]
fn an_import_makes_a_queue_only_where_a_configuration_says() {
    let folder = folder();
    let (old, _) = killed_with_a_backlog(&folder.path().join("old"), "");
    let backlog = folder.path().join("backlog.jsonl");
    let backlog = backlog.to_str().unwrap();
    expect(&on(&queue(&old), &["export", "-o", backlog]), 0);
    let typo = folder.path().join("typo");
    let text = expect(&on(&typo, &["import", backlog]), 2);
    assert!(text.contains("typo") && text.contains("-c FILE"), "{text}");
    assert!(!typo.exists(), "something was made");
    let new = Gateway::new(&folder.path().join("new"), "");
    let text = expect(&new.command(&["queue", "import", "--stream", "events", backlog]), 0);
    assert!(text.contains("what waits there:") && text.contains("telemetry 2000"), "{text}");
    expect(&on(&queue(&new), &["import", backlog]), 0);
    assert_eq!(new.ledger().total("telemetry").queued, MESSAGES);
}

#[test]
fn root_is_told_what_to_do_with_the_files_it_made_in_a_folder_of_the_service() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root makes files that the service cannot write to");
        return;
    }
    let folder = folder();
    let (old, _) = killed_with_a_backlog(&folder.path().join("old"), "");
    let new = Gateway::new(&folder.path().join("new"), "");
    fs::create_dir(new.data()).unwrap();
    let import = ["queue", "import", "--from-dir", queue(&old).to_str().unwrap()].map(String::from);
    let import: Vec<_> = import.iter().map(String::as_str).collect();
    let text = expect(&new.command(&import), 0);
    assert!(!text.contains("chown"), "{text}");
    chown(new.data(), Some(7), Some(8)).unwrap();
    let text = expect(&new.command(&import), 0);
    assert!(text.contains(&format!("chown -R 7:8 {}", queue(&new).display())), "{text}");
}

#[test]
fn a_running_gateway_is_looked_at_and_not_written_to() {
    let folder = folder();
    let mut gateway = Gateway::new(folder.path(), "");
    gateway.start();
    let load = Load { devices: DEVICES, messages_each: 10_000, ..Load::default() };
    let fleet = Fleet::start(load, gateway.address.clone());
    wait_until("some messages", LIMIT, || fleet.acknowledged() > 100);
    let backlog = folder.path().join("backlog.jsonl");
    let output = backlog.to_str().unwrap();
    for _ in 0..5 {
        expect(&gateway.command(&["queue", "ls"]), 0);
        expect(&gateway.command(&["queue", "show", "telemetry"]), 0);
        expect(&gateway.command(&["queue", "verify"]), 0);
        expect(&gateway.command(&["queue", "export", "--output", output]), 0);
    }
    expect(&gateway.command(&["queue", "repair"]), 75);
    let text = expect(&gateway.command(&["queue", "import", output]), 75);
    assert!(text.contains("in use"), "{text}");
    fleet.finish(LIMIT);
    gateway.kill();
    let text = expect(&gateway.command(&["queue", "import", output]), 1);
    assert!(text.contains("lies in this very queue"), "{text}");
    assert_eq!(gateway.ledger().total("telemetry").accepted, 40_000);
}

#[test]
fn an_export_that_is_cut_off_is_refused_before_anything_is_taken() {
    let folder = folder();
    let (old, _) = killed_with_a_backlog(&folder.path().join("old"), "");
    let whole = on(&queue(&old), &["export", "--stream", "telemetry"]).stdout;
    let backlog = folder.path().join("backlog.jsonl");
    let new = Gateway::new(&folder.path().join("new"), "");
    let import = ["queue", "import", backlog.to_str().unwrap()];
    fs::write(&backlog, &whole[..whole.len() - 20]).unwrap();
    let text = expect(&new.command(&import), 1);
    let last = format!("backlog.jsonl line {}:", MESSAGES + 2);
    assert!(text.contains(&last) && text.contains("cut off"), "{text}");
    assert!(!queue(&new).exists(), "something was made");
    let changed =
        String::from_utf8(whole).unwrap().replacen("gw-test/sensors", "gw-tset/sensors", 1);
    fs::write(&backlog, changed).unwrap();
    let text = expect(&new.command(&import), 1);
    assert!(text.contains("checksum"), "{text}");
    assert!(!queue(&new).exists(), "something was made");
}

#[test]
fn wrong_arguments_are_answered_with_what_is_there() {
    let folder = folder();
    let (gateway, _) = killed_with_a_backlog(folder.path(), "");
    let text = expect(&on(&queue(&gateway), &["show", "telemetri"]), 2);
    assert!(text.contains("`telemetri`") && text.contains("telemetry"), "{text}");
    let text = expect(&on(&queue(&gateway), &["export", "--stream", "telemetri"]), 2);
    assert!(text.contains("events, telemetry"), "{text}");
    let text = expect(&on(&gateway.data(), &["ls"]), 2);
    assert!(text.contains(&format!("{} is one", queue(&gateway).display())), "{text}");
    let text = expect(&on(&folder.path().join("nowhere"), &["ls"]), 2);
    assert!(text.contains("nowhere") && text.contains("has not run yet"), "{text}");
    let new = Gateway::new(&folder.path().join("new"), "");
    let text = expect(&new.command(&["ledger"]), 2);
    assert!(text.contains("there is no queue in") && text.contains("data_dir"), "{text}");
    let text = expect(&gateway.command(&["queue", "import", "no-such-file"]), 1);
    assert!(text.contains("no-such-file: No such file") && !text.contains("line"), "{text}");
    let text = expect(&on(&queue(&gateway), &["show", "telemetry", "--count", "0"]), 2);
    assert!(text.contains("--count"), "{text}");
    let head = on(&queue(&gateway), &["export"]);
    assert!(head.status.success());
}
