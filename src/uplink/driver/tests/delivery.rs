use std::time::{Duration, Instant};

use proptest::prelude::*;
use rumqttc::Packet;

use crate::uplink::testing::{Acks, Cloud, Memory, Rig, Script, Stall, config, until};

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn is_disconnect(packet: &Packet) -> bool {
    matches!(packet, Packet::Disconnect)
}

#[tokio::test]
async fn a_backlog_reaches_the_cloud_in_order_and_once_and_is_settled() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 5_000)]);
    rig.drained().await;
    assert_eq!(cloud.payloads(), numbers(0..5_000));
    let status = rig.stop().await;
    assert_eq!((status.published, status.acknowledged, status.resent), (5_000, 5_000, 0));
}

#[tokio::test]
async fn what_is_queued_later_goes_up_without_delay() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::new("telemetry", 5)]);
    for n in 0..20_u64 {
        rig.streams[0].push("gw/t", n.to_string().into());
        until("it is acknowledged", || rig.streams[0].unsettled().is_empty()).await;
    }
    assert_eq!(cloud.payloads(), numbers(0..20));
}

#[tokio::test]
async fn acknowledgements_backwards_or_twice_settle_each_message_once() {
    for acks in [Acks::Backwards(10), Acks::Twice] {
        let cloud = Cloud::start(vec![Script { acks, ..Script::default() }]).await;
        let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 1_000)]);
        rig.drained().await;
        let status = rig.stop().await;
        assert_eq!(cloud.payloads(), numbers(0..1_000), "{acks:?}");
        assert_eq!((status.acknowledged, status.connections), (1_000, 1), "{acks:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_loses_nothing_and_keeps_the_order() {
    let broken = |n| Script { close_at: Some(n), ..Script::default() };
    let scripts =
        vec![broken(700), broken(0), broken(1), broken(99), broken(350), Script::default()];
    let cloud = Cloud::start(scripts).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 3_000)]);
    rig.drained().await;
    assert_eq!(cloud.first_payloads(), numbers(0..3_000));
    let status = rig.stop().await;
    let duplicates = cloud.payloads().len() - 3_000;
    assert!(duplicates <= 5 * 100, "{duplicates} duplicates of five windows of 100");
    assert!(status.resent as usize >= duplicates, "no duplicate goes uncounted");
    assert_eq!(status.connections, 6);
}

#[tokio::test]
async fn a_session_that_the_cloud_kept_makes_no_difference_to_what_goes_up() {
    let broken = Script { close_at: Some(50), acks: Acks::Never, ..Script::default() };
    let kept = Script { session_present: true, ..Script::default() };
    let cloud = Cloud::start(vec![broken, kept]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 200)]);
    rig.drained().await;
    rig.stop().await;
    let publishes = cloud.publishes();
    let second: Vec<_> =
        publishes.iter().filter(|(connection, _)| *connection == 1).map(|(_, p)| p).collect();
    assert_eq!(second.len(), 200, "all of it, once");
    assert!(second[0].dup, "it was sent before");
    assert!(!second[199].dup, "it was not");
}

#[tokio::test]
async fn a_cloud_that_acknowledges_nothing_is_given_up_and_nothing_is_lost() {
    let silent = Script { acks: Acks::Never, ..Script::default() };
    let cloud = Cloud::start(vec![silent, Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 500)]);
    rig.drained().await;
    assert_eq!(cloud.first_payloads(), numbers(0..500));
    let error = rig.status().last_error.expect("a reason");
    assert!(error.starts_with("nothing was acknowledged for 400ms"), "{error}");
}

#[tokio::test]
async fn one_missing_acknowledgement_resends_that_message_and_no_other() {
    let forgetful = Script { acks: Acks::AllBut(30), ..Script::default() };
    let cloud = Cloud::start(vec![forgetful, Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 200)]);
    rig.drained().await;
    let status = rig.stop().await;
    assert_eq!(cloud.payloads()[200..], ["30"]);
    assert_eq!((status.acknowledged, status.resent), (200, 1));
}

#[tokio::test]
async fn a_network_that_falls_silent_in_mid_flight_is_noticed_and_nothing_is_lost() {
    let stalled = Script { stall: Some(Stall::AfterMessages(40)), ..Script::default() };
    let cloud = Cloud::start(vec![stalled, Script::default()]).await;
    let memory = Memory::new("telemetry", 5);
    // More than socket buffers hold, so that writing blocks as well.
    for _ in 0..100 {
        memory.push("gw/t", vec![b'x'; 200_000].into());
    }
    let rig = Rig::start(&config(&cloud.url, ""), vec![memory]);
    rig.drained().await;
    assert_eq!(rig.stop().await.connections, 2);
}

#[tokio::test]
async fn the_highest_priority_goes_first_and_equals_share() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let streams = ["low", "high", "twin"].map(|name| {
        let memory = Memory::new(name, if name == "low" { 1 } else { 7 });
        (0..300).for_each(|_| memory.push("gw/t", name.into()));
        memory
    });
    let rig = Rig::start(&config(&cloud.url, "inflight_max = 10"), streams.to_vec());
    rig.drained().await;
    let payloads = cloud.payloads();
    let first_low = payloads.iter().position(|name| name == "low").unwrap();
    let early_low = payloads[..600].iter().filter(|name| *name == "low").count();
    // What was read ahead first may have gone before the others were there.
    assert!(early_low <= 10, "{early_low} of the low one among the first 600, from {first_low}");
    let high = payloads[100..400].iter().filter(|name| *name == "high").count();
    assert!((140..=160).contains(&high), "{high} of 300");
}

#[tokio::test]
async fn the_throttle_holds_across_connections() {
    let broken = Script { close_at: Some(10), ..Script::default() };
    let cloud = Cloud::start(vec![broken, Script::default()]).await;
    let start = Instant::now();
    let config = config(&cloud.url, "messages_per_second_max = 40");
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 50)]);
    rig.drained().await;
    // 51 messages at 40 a second, less the bucket of 10.
    let elapsed = start.elapsed();
    assert!(elapsed > Duration::from_secs(1), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
}

#[tokio::test]
async fn what_the_cloud_would_not_take_is_passed_over_and_stays() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let memory = Memory::new("telemetry", 5);
    memory.push("gw/t", "0".into());
    memory.push("gw/+", "1".into());
    memory.push("gw/t", vec![b'x'; 1_000_001].into());
    memory.push("gw/t", "3".into());
    let rig = Rig::start(&config(&cloud.url, ""), vec![memory]);
    until("the others are delivered", || rig.streams[0].unsettled() == [1, 2]).await;
    assert_eq!(cloud.payloads(), ["0", "3"]);
    assert_eq!(rig.stop().await.unsendable, 2);
}

#[tokio::test]
async fn what_was_evicted_after_it_was_read_ahead_is_not_sent() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let config = config(&cloud.url, "messages_per_second_max = 20");
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 100)]);
    cloud.has_seen("a few went", 5, |packet| matches!(packet, Packet::Publish(_))).await;
    rig.streams[0].evict_before(90);
    rig.drained().await;
    let payloads = cloud.payloads();
    let evicted = &payloads[5..payloads.len() - 10];
    // One or two were on their way already.
    assert!(evicted.len() <= 2, "{evicted:?}");
    assert_eq!(payloads[payloads.len() - 10..], numbers(90..100));
}

#[tokio::test]
async fn a_missing_acknowledgement_is_noticed_while_later_ones_keep_coming() {
    let forgetful = Script { acks: Acks::AllBut(0), ..Script::default() };
    let cloud = Cloud::start(vec![forgetful, Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 1)]);
    let mut sent = 1;
    until("the first message is resent", || {
        sent += 1;
        rig.streams[0].push("gw/t", sent.to_string().into());
        cloud.connections() == 2
    })
    .await;
    let error = rig.status().last_error.expect("a reason");
    assert!(error.starts_with("message 0 of stream telemetry was not acknowledged"), "{error}");
    rig.drained().await;
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_for_a_moment_is_read_again() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let memory = Memory::filled("telemetry", 5, 10);
    memory.fail_reads(1);
    let rig = Rig::start(&config(&cloud.url, ""), vec![memory]);
    rig.drained().await;
    assert_eq!(cloud.payloads(), numbers(0..10));
}

#[tokio::test]
async fn stopping_waits_for_what_is_in_flight_and_takes_leave() {
    let slow = Script { acks: Acks::Backwards(20), ..Script::default() };
    let cloud = Cloud::start(vec![slow]).await;
    let config = config(&cloud.url, "inflight_max = 20");
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 100_000)]);
    let is_publish = |packet: &Packet| matches!(packet, Packet::Publish(_));
    cloud.has_seen("messages", 1_000, is_publish).await;
    let memory = rig.streams[0].clone();
    let status = rig.stop().await;
    cloud.has_seen("DISCONNECT", 1, is_disconnect).await;
    assert_eq!(status.published, status.acknowledged);
    assert_eq!(memory.unsettled().len() as u64, 100_000 - status.acknowledged);
    assert!(is_disconnect(&cloud.seen().last().unwrap().packet), "it is the last word");
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let silent = Script { acks: Acks::Never, ..Script::default() };
    let cloud = Cloud::start(vec![silent]).await;
    let config = config(&cloud.url, "ack_timeout = '1h'");
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 10)]);
    cloud.has_seen("messages", 10, |packet| matches!(packet, Packet::Publish(_))).await;
    let start = Instant::now();
    rig.stop().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_idle_uplink_pings_and_stays_connected() {
    let cloud = Cloud::start(vec![Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, "keep_alive = '1s'"), vec![Memory::new("t", 5)]);
    let is_ping = |packet: &Packet| matches!(packet, Packet::PingReq);
    cloud.has_seen("pings", 2, is_ping).await;
    let beats = rig.beats();
    until("it shows life while idle", || rig.beats() > beats).await;
    assert_eq!(rig.stop().await.connections, 1);
}

fn script() -> impl Strategy<Value = Script> {
    let acks = prop_oneof![
        3 => Just(Acks::Prompt),
        2 => (1_usize..8).prop_map(Acks::Backwards),
        1 => Just(Acks::Twice),
        1 => (0_usize..40).prop_map(Acks::AllBut),
    ];
    (acks, proptest::option::of(0_usize..120), any::<bool>()).prop_map(
        |(acks, close_at, session_present)| Script {
            session_present,
            acks,
            close_at,
            ..Script::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 20, ..ProptestConfig::default() })]

    /// Whatever a cloud does on its first connections.
    #[test]
    fn every_message_arrives_in_order_and_what_is_settled_had_arrived(
        mut scripts in proptest::collection::vec(script(), 0..5),
        inflight in 1_u16..30,
        messages in 1_u64..400,
    ) {
        scripts.push(Script::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cloud = Cloud::start(scripts).await;
            let config = config(
                &cloud.url,
                &format!("inflight_max = {inflight}\nack_timeout = '60ms'"),
            );
            let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, messages)]);
            rig.drained().await;
            let status = rig.stop().await;
            let first = cloud.first_payloads();
            let duplicates = cloud.payloads().len() as u64 - messages;
            assert_eq!(first, numbers(0..messages));
            assert_eq!(status.acknowledged, messages);
            assert!(duplicates <= status.resent);
            assert!(status.resent <= (status.connections - 1) * u64::from(inflight));
        });
    }
}
