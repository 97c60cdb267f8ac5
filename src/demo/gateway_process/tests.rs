use std::os::unix::{fs::PermissionsExt, process::ExitStatusExt};

use super::*;
use crate::demo::folder::Folder;

/// A stand-in for the gateway: a shell script that can `open` a door.
fn site(folder: &Folder, script: &str) -> Site {
    let site = Site {
        program: folder.path().join("gateway"),
        config: folder.path().join("holdfast.toml"),
        data_dir: folder.path().to_owned(),
        log: folder.path().join("gateway.log"),
    };
    let listeners = site.data_dir.join("listeners.json");
    let script = format!(
        "#!/bin/sh\n[ $1 = ledger ] && {{ echo \"$*\"; exit $(cat $3); }}\n\
         open() {{ echo '[\"127.0.0.1:1883\"]' > {}; }}\n{script}\n",
        listeners.display()
    );
    // Written by another process: a descriptor open for writing here could be inherited by a
    // child of another test, and the kernel runs no program that is open for writing.
    let command = format!("cat > {}", site.program.display());
    let mut shell = std::process::Command::new("sh")
        .args(["-c", &command])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    io::Write::write_all(&mut shell.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    fs::set_permissions(&site.program, fs::Permissions::from_mode(0o700)).unwrap();
    site
}

/// Goes on until it is stopped.
const RUN: &str = "trap 'exit 0' TERM; open; while :; do sleep 0.05; done";

#[tokio::test]
async fn a_gateway_that_opens_its_doors_is_found_and_can_be_stopped() {
    let folder = Folder::create().unwrap();
    let mut gateway = site(&folder, RUN).start().await.unwrap();
    assert_eq!(gateway.listeners(), ["127.0.0.1:1883".parse().unwrap()]);
    gateway.expect_alive().unwrap();
    gateway.stop().await.unwrap();
}

#[tokio::test]
async fn killing_means_sigkill() {
    let folder = Folder::create().unwrap();
    let gateway = site(&folder, RUN).start().await.unwrap();
    assert_eq!(gateway.kill().await.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn the_doors_of_the_last_run_are_not_taken_for_this_ones() {
    let folder = Folder::create().unwrap();
    let site = site(&folder, "echo no port left >&2; exit 3");
    fs::write(folder.path().join("listeners.json"), r#"["127.0.0.1:9"]"#).unwrap();
    let error = site.start().await.unwrap_err();
    assert!(matches!(error, GatewayError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("no port left"), "{error}");
}

#[tokio::test]
async fn a_gateway_that_ends_by_itself_is_noticed() {
    let folder = Folder::create().unwrap();
    let mut gateway = site(&folder, "open; sleep 0.2").start().await.unwrap();
    let deadline = Instant::now() + START_TIMEOUT;
    while gateway.expect_alive().is_ok() {
        assert!(Instant::now() < deadline, "its end was not noticed");
        time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_stop_with_an_exit_code_is_not_clean() {
    let folder = Folder::create().unwrap();
    let unclean = RUN.replace("exit 0", "exit 4");
    let gateway = site(&folder, &unclean).start().await.unwrap();
    let error = gateway.stop().await.unwrap_err();
    assert!(matches!(error, GatewayError::Unclean { .. }), "{error}");
}

#[tokio::test]
async fn the_ledger_is_what_the_command_prints_unless_it_fails() {
    let folder = Folder::create().unwrap();
    let site = site(&folder, RUN);
    fs::write(&site.config, "0").unwrap();
    let printed = String::from_utf8(site.ledger().await.unwrap()).unwrap();
    assert_eq!(printed.trim(), format!("ledger --config {} --json", site.config.display()));
    fs::write(&site.config, "5").unwrap();
    let error = site.ledger().await.unwrap_err();
    assert!(matches!(error, GatewayError::Ledger { .. }), "{error}");
}
