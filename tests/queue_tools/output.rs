//! Where the tools write: what is there already is respected, and what cannot be written is said.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{MESSAGES, expect, killed_with_a_backlog, on, queue, tool};
use crate::support::{Gateway, folder, holdfast};

fn export_to(gateway: &Gateway, path: &Path) -> Output {
    on(&queue(gateway), &["export", "--output", path.to_str().unwrap()])
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn expect_export(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count() as u64, MESSAGES + 2);
    assert!(text.lines().last().unwrap().starts_with("{\"end\":"));
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().file_type().is_symlink()
}

#[test]
fn an_export_takes_the_place_of_regular_files_only() {
    let folder = folder();
    let (gateway, _) = killed_with_a_backlog(&folder.path().join("gw"), "");
    let at = |name: &str| folder.path().join(name);

    let plain = at("plain.jsonl");
    expect(&export_to(&gateway, &plain), 0);
    assert_eq!(mode(&plain), 0o600, "an export is its owner's alone");
    expect_export(&fs::read(&plain).unwrap());

    let target = at("target.jsonl");
    fs::write(&target, "old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    let link = at("link.jsonl");
    symlink("target.jsonl", &link).unwrap();
    expect(&export_to(&gateway, &link), 0);
    assert!(is_link(&link) && !is_link(&target));
    assert_eq!(mode(&target), 0o640, "a file that was there keeps its mode");
    expect_export(&fs::read(&target).unwrap());

    let pipe = at("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for path in [pipe.clone(), at("link-to-pipe")] {
        if path != pipe {
            symlink(&pipe, &path).unwrap();
        }
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        expect(&export_to(&gateway, &path), 0);
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo(), "the pipe was replaced");
        expect_export(&reader.join().unwrap());
    }

    let dangling = at("dangling");
    symlink("nothing", &dangling).unwrap();
    let text = expect(&export_to(&gateway, &dangling), 2);
    assert!(text.contains("dangling") && is_link(&dangling), "{text}");
    assert!(!at("nothing").exists());
    expect(&export_to(&gateway, folder.path()), 2);
    let text = expect(&export_to(&gateway, &at("no-folder/x.jsonl")), 1);
    assert!(text.contains("no-folder/x.jsonl: No such file"), "{text}");
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_export_to_standard_output_is_written_there_by_whichever_name() {
    let folder = folder();
    let (gateway, _) = killed_with_a_backlog(&folder.path().join("gw"), "");
    let dir = queue(&gateway);
    let by_name = folder.path().join("stdout");
    symlink("/proc/self/fd/1", &by_name).unwrap();
    for output in ["-", "stdout"] {
        let export = |stdout: Stdio| {
            let mut command = Command::new(holdfast());
            command.args(["queue", "export", "-o", output, "--dir"]).arg(&dir);
            command.current_dir(folder.path()).stdout(stdout).spawn().unwrap()
        };
        let piped = export(Stdio::piped()).wait_with_output().unwrap();
        expect_export(&piped.stdout);
        let redirected = folder.path().join(format!("redirected{output}"));
        let mut file = File::create(&redirected).unwrap();
        file.write_all(b"before\n").unwrap();
        assert!(export(file.into()).wait().unwrap().success());
        let text = fs::read_to_string(&redirected).unwrap();
        expect_export(text.strip_prefix("before\n").expect("what was there stays").as_bytes());
    }
    assert!(is_link(&by_name) && !folder.path().join("-").exists());
}

/// Runs a command of the binary with this standard output.
fn with_output(gateway: &Gateway, arguments: &[&str], stdout: Stdio) -> Output {
    let mut command = Command::new(holdfast());
    command.args(arguments).stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
    if arguments[0] != "passwd" && !arguments.contains(&"--help") {
        command.arg("--config").arg(gateway.config());
    }
    let mut child = command.spawn().unwrap();
    // Only `passwd` reads it; the others may have ended.
    let _ = child.stdin.take().unwrap().write_all(b"secret\n");
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_that_left_is_no_failure_and_a_full_disk_is_one() {
    let folder = folder();
    let (gateway, _) = killed_with_a_backlog(folder.path(), "");
    let commands: [&[&str]; 9] = [
        &["ledger"],
        &["ledger", "--json"],
        &["check"],
        &["passwd"],
        &["queue", "ls"],
        &["queue", "show", "telemetry"],
        &["queue", "verify"],
        &["queue", "export"],
        &["queue", "repair", "--dry-run"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = with_output(&gateway, arguments, writer.into());
        assert_eq!(expect(&output, 0).trim(), "exit status: 0", "{arguments:?}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let text = expect(&with_output(&gateway, arguments, full.into()), 1);
        assert!(text.contains("standard output cannot be written: No space"), "{text}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    expect(&with_output(&gateway, &["--help"], writer.into()), 0);
}

#[test]
fn a_key_file_is_refused_with_what_mends_it() {
    let folder = folder();
    let (gateway, _) = killed_with_a_backlog(&folder.path().join("gw"), "");
    let keys = folder.path().join("queue.keys");
    fs::write(&keys, "5ec2e7000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c").unwrap();
    let dir = queue(&gateway);
    let ls = || tool(&["ls", "--dir", dir.to_str().unwrap(), "--key-file", keys.to_str().unwrap()]);
    for (mode, code) in [(0o644, 2), (0o640, 0)] {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
        let text = expect(&ls(), code);
        let advice = format!("run `chmod o= {}`", keys.display());
        assert_eq!(text.contains(&advice), code == 2, "{text}");
        assert!(!text.contains("written with"), "{text}");
    }
    fs::remove_file(&keys).unwrap();
    let text = expect(&ls(), 2);
    assert!(text.contains("the keys that the queue was written with"), "{text}");
}
