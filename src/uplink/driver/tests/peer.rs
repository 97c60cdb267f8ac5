//! Against mosquitto, over TLS with a client certificate.

use std::{path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::{
    config,
    uplink::{
        State,
        testing::{Authority, Files, Memory, Mosquitto, Rig, config as settings, until},
    },
};

struct Site {
    folder: TempDir,
    authority: Authority,
    mosquitto: Mosquitto,
    gateway: Files,
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "ca");
        let server = authority.sign("server", &["localhost"]);
        let gateway = authority.sign("gateway", &["gw"]);
        let mosquitto = Mosquitto::start(folder.path(), &authority, &server);
        Self { folder, authority, mosquitto, gateway }
    }

    fn config(&self, ca: &Path, identity: Option<&Files>) -> config::Uplink {
        let mut more = format!("ca = {ca:?}\nack_timeout = '2s'\n");
        if let Some(files) = identity {
            more = format!("{more}cert = {:?}\nkey = {:?}\n", files.cert, files.key);
        }
        settings(&self.mosquitto.url(), &more)
    }

    fn good(&self) -> config::Uplink {
        self.config(&self.authority.ca, Some(&self.gateway))
    }
}

async fn refused(rig: &Rig) -> Arc<str> {
    until("it is refused", || matches!(rig.status().state, State::Refused { .. })).await;
    rig.status().last_error.expect("a reason")
}

#[tokio::test]
async fn a_backlog_goes_up_over_mutual_tls_and_every_message_arrives() {
    let site = Site::start();
    let observer = site.mosquitto.observer(2_000);
    let memory = Memory::new("telemetry", 5);
    let rig = Rig::start(&site.good(), vec![memory.clone()]);
    // The observer needs a moment to subscribe: it has when it hears a first message.
    let watched = tokio::task::spawn_blocking(move || observer.wait_with_output().unwrap());
    let mut sent = 0;
    while !watched.is_finished() && sent < 1_000_000 {
        for _ in 0..500 {
            memory.push("gw/t", sent.to_string().into());
            sent += 1;
        }
        rig.drained().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let output = String::from_utf8(watched.await.unwrap().stdout).unwrap();
    let heard: Vec<u64> = output.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(heard.len(), 2_000);
    assert!(heard.windows(2).all(|pair| pair[1] == pair[0] + 1), "in order, without a gap");
    let status = rig.stop().await;
    assert_eq!((status.acknowledged, status.resent), (sent, 0));
}

#[tokio::test]
async fn a_cloud_that_is_killed_and_comes_back_without_its_session_gets_the_rest() {
    let mut site = Site::start();
    let rig = Rig::start(&site.good(), vec![Memory::filled("telemetry", 5, 100_000)]);
    until("some are acknowledged", || rig.status().acknowledged > 1_000).await;
    site.mosquitto.stop();
    until("it is noticed", || rig.status().state != State::Connected).await;
    assert!(!rig.streams[0].unsettled().is_empty(), "it was killed in the middle");
    assert!(site.mosquitto.run());
    rig.drained().await;
    // The subscription is made again, too.
    until("commands come", || {
        site.mosquitto.publish("gw/commands/wx", "after");
        rig.inbox.kept().contains(&"gw/commands/wx after".to_owned())
    })
    .await;
    let status = rig.stop().await;
    assert!(status.connections >= 2 && status.resent <= 100 * (status.connections - 1));
}

#[tokio::test]
async fn a_command_sent_while_the_gateway_was_away_comes_with_the_next_connection() {
    let site = Site::start();
    let rig = Rig::start(&site.good(), vec![Memory::new("t", 5)]);
    until("connected", || rig.status().state == State::Connected).await;
    until("commands come", || {
        site.mosquitto.publish("gw/commands/wx", "before");
        !rig.inbox.kept().is_empty()
    })
    .await;
    rig.stop().await;
    site.mosquitto.publish("gw/commands/wx", "meanwhile");
    let rig = Rig::start(&site.good(), vec![Memory::new("t", 5)]);
    until("it comes", || rig.inbox.kept().contains(&"gw/commands/wx meanwhile".to_owned())).await;
}

#[tokio::test]
async fn a_gateway_without_a_certificate_is_refused_and_waits() {
    let site = Site::start();
    let rig = Rig::start(
        &site.config(&site.authority.ca, None),
        vec![Memory::filled("telemetry", 5, 10)],
    );
    let error = refused(&rig).await;
    assert!(error.contains("uplink.cert (none is configured)"), "{error}");
    assert_eq!(rig.streams[0].unsettled().len(), 10);
}

#[tokio::test]
async fn a_certificate_of_a_strange_authority_is_refused_and_its_file_is_named() {
    let site = Site::start();
    let stranger = Authority::new(site.folder.path(), "stranger").sign("strange", &["gw"]);
    let rig = Rig::start(
        &site.config(&site.authority.ca, Some(&stranger)),
        vec![Memory::filled("telemetry", 5, 10)],
    );
    let error = refused(&rig).await;
    assert!(error.contains("strange.crt"), "{error}");
    assert_eq!(rig.streams[0].unsettled().len(), 10);
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_one_put_in_its_place_is_used_soon() {
    let site = Site::start();
    let expired = site.authority.sign_between("aging", &["gw"], 2020, 2021);
    let mut config = site.config(&site.authority.ca, Some(&expired));
    config.backoff_refused = Duration::from_hours(1);
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 10)]);
    let error = refused(&rig).await;
    assert!(error.contains("aging.crt"), "{error}");
    site.authority.sign("aging", &["gw"]);
    rig.drained().await;
}

#[tokio::test]
async fn a_server_of_a_strange_authority_or_another_name_is_not_trusted() {
    let site = Site::start();
    let stranger = Authority::new(site.folder.path(), "stranger");
    let rig = Rig::start(
        &site.config(&stranger.ca, Some(&site.gateway)),
        vec![Memory::filled("telemetry", 5, 10)],
    );
    let error = refused(&rig).await;
    assert!(error.contains("stranger.crt"), "{error}");
    assert_eq!(rig.status().published, 0);

    let mut config = site.good();
    config.url = format!("mqtts://127.0.0.1:{}", site.mosquitto.port);
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 10)]);
    let error = refused(&rig).await;
    assert!(error.contains("127.0.0.1"), "{error}");
    assert_eq!(rig.status().published, 0);
}
