use std::time::{Duration, Instant};

use rumqttc::{Packet, SubscribeReasonCode};

use crate::uplink::testing::{Cloud, Inbox, Memory, Rig, Script, config, until};

fn pubacks(cloud: &Cloud) -> Vec<(usize, u16)> {
    let ack = |seen: crate::uplink::testing::Seen| match seen.packet {
        Packet::PubAck(ack) => Some((seen.connection, ack.pkid)),
        _ => None,
    };
    cloud.seen().into_iter().filter_map(ack).collect()
}

fn down(payloads: &[&'static str]) -> Script {
    let down = payloads.iter().map(|payload| ("gw/commands/wx", *payload)).collect();
    Script { down, ..Script::default() }
}

#[tokio::test]
async fn subscriptions_come_before_the_first_message() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 10)]);
    rig.drained().await;
    let seen = cloud.seen();
    let Packet::Subscribe(subscribe) = &seen[1].packet else { panic!("{:?}", seen[1]) };
    assert_eq!(subscribe.filters[0].path, "gw/commands/#");
    let Packet::Connect(connect) = &seen[0].packet else { panic!("{:?}", seen[0]) };
    assert!(!connect.clean_session, "commands sent during an outage are kept at the cloud");
    assert_eq!(connect.client_id, "gw");
}

#[tokio::test]
async fn a_command_is_acknowledged_when_it_is_kept_and_not_before() {
    let cloud = Cloud::start(vec![down(&["one", "two", "three"])]).await;
    let inbox = Inbox::closed();
    let rig = Rig::with_inbox(
        &config(&cloud.url, ""),
        vec![Memory::filled("telemetry", 5, 500)],
        inbox.clone(),
    );
    // The sink keeps nothing yet, and holds nothing else up.
    rig.drained().await;
    assert_eq!(rig.status().connections, 1);
    assert_eq!(pubacks(&cloud), []);
    inbox.open(2);
    until("two acknowledgements", || pubacks(&cloud) == [(0, 1), (0, 2)]).await;
    assert_eq!(inbox.kept(), ["gw/commands/wx one", "gw/commands/wx two"]);
    inbox.open(1);
    until("the third", || pubacks(&cloud).len() == 3).await;
}

#[tokio::test]
async fn a_command_that_could_not_be_kept_is_not_acknowledged() {
    let cloud = Cloud::start(vec![down(&["one", "bad", "three"])]).await;
    let inbox = Inbox::new();
    inbox.fail_once("bad");
    let rig = Rig::with_inbox(&config(&cloud.url, ""), vec![Memory::new("t", 5)], inbox);
    until("the others", || pubacks(&cloud) == [(0, 1), (0, 3)]).await;
    assert_eq!(rig.inbox.kept().len(), 2);
    rig.stop().await;
    assert_eq!(pubacks(&cloud).len(), 2);
}

#[tokio::test]
async fn an_acknowledgement_never_goes_to_another_connection_than_its_command_came_by() {
    let first = Script { close_at: Some(0), ..down(&["one", "two"]) };
    let second = down(&["one", "two", "three"]);
    let cloud = Cloud::start(vec![first, second]).await;
    let inbox = Inbox::closed();
    let memory = Memory::new("telemetry", 5);
    let rig = Rig::with_inbox(&config(&cloud.url, ""), vec![memory.clone()], inbox.clone());
    until("commands came", || rig.status().received == 2).await;
    memory.push("gw/t", "this ends the connection".into());
    until("the second connection's came", || rig.status().received == 5).await;
    inbox.open(5);
    until("acknowledgements", || pubacks(&cloud).len() == 3).await;
    assert_eq!(pubacks(&cloud), [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(inbox.kept().len(), 5, "in order, duplicates included: the inbox knows them");
}

#[tokio::test]
async fn a_message_on_a_topic_never_subscribed_is_taken_too() {
    let direct = Script { down: vec![("some/other/topic", "hello")], ..Script::default() };
    let cloud = Cloud::start(vec![direct]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::new("t", 5)]);
    until("it is acknowledged", || pubacks(&cloud) == [(0, 1)]).await;
    assert_eq!(rig.inbox.kept(), ["some/other/topic hello"]);
}

#[tokio::test]
async fn a_subscription_that_is_refused_is_told_and_messages_go_up() {
    let refusing = Script { suback: Some(SubscribeReasonCode::Failure), ..Script::default() };
    let cloud = Cloud::start(vec![refusing]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 10)]);
    rig.drained().await;
    assert_eq!(rig.stop().await.subscriptions_refused, 1);
    assert_eq!(cloud.connections(), 1);
}

#[tokio::test]
async fn a_cloud_that_never_answers_subscribe_gets_the_messages_all_the_same() {
    let mute = Script { suback: None, ..Script::default() };
    let cloud = Cloud::start(vec![mute]).await;
    let start = Instant::now();
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 10)]);
    rig.drained().await;
    assert_eq!(cloud.connections(), 1);
    assert!(start.elapsed() >= Duration::from_millis(400), "they wait for an answer at first");
}

#[tokio::test]
async fn a_flood_of_commands_is_bounded_and_what_is_dropped_is_not_acknowledged() {
    let flood: Vec<&'static str> = vec!["x"; 400];
    let cloud = Cloud::start(vec![down(&flood)]).await;
    let inbox = Inbox::closed();
    let rig = Rig::with_inbox(&config(&cloud.url, ""), vec![Memory::new("t", 5)], inbox.clone());
    until("they came", || rig.status().received == 400).await;
    inbox.open(1_000);
    until("some are kept", || inbox.kept().len() >= 256).await;
    until("each kept one is acknowledged", || pubacks(&cloud).len() == inbox.kept().len()).await;
    assert!(inbox.kept().len() <= 257, "{}", inbox.kept().len());
}
