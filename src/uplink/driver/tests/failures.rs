use std::time::{Duration, Instant};

use rumqttc::{ConnectReturnCode, Packet};
use tokio::net::TcpListener;

use crate::uplink::{
    State,
    testing::{Cloud, Memory, Rig, Script, Stall, config, until},
};

fn is_refused(state: State) -> bool {
    matches!(state, State::Refused { .. })
}

#[tokio::test]
async fn a_cloud_that_refuses_the_gateway_is_asked_again_after_the_long_pause() {
    for code in [
        ConnectReturnCode::NotAuthorized,
        ConnectReturnCode::BadUserNamePassword,
        ConnectReturnCode::BadClientId,
    ] {
        let refusing = Script { connack: code, ..Script::default() };
        let cloud = Cloud::start(vec![refusing, Script::default()]).await;
        let start = Instant::now();
        let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 50)]);
        until("it says so", || is_refused(rig.status().state)).await;
        assert_eq!(rig.streams[0].unsettled().len(), 50);
        let error = rig.status().last_error.expect("a reason");
        assert!(error.contains(&format!("{code:?}")), "{error}");
        rig.drained().await;
        assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
        assert_eq!(cloud.connections(), 2);
    }
}

#[tokio::test]
async fn a_refusal_code_beyond_the_specification_is_a_refusal() {
    let odd = Script { odd_code: Some(7), ..Script::default() };
    let cloud = Cloud::start(vec![odd, Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 5)]);
    until("it says so", || is_refused(rig.status().state)).await;
    rig.drained().await;
}

#[tokio::test]
async fn a_cloud_that_is_busy_is_asked_again_soon() {
    let busy = Script { connack: ConnectReturnCode::ServiceUnavailable, ..Script::default() };
    let cloud = Cloud::start(vec![busy.clone(), busy, Script::default()]).await;
    let config = config(&cloud.url, "backoff_refused = '1h'");
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 5)]);
    rig.drained().await;
}

#[tokio::test]
async fn a_cloud_that_does_not_answer_connect_is_given_up() {
    let mute = Script { stall: Some(Stall::BeforeConnack), ..Script::default() };
    let cloud = Cloud::start(vec![mute, Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 5)]);
    rig.drained().await;
    let error = rig.status().last_error.expect("a reason");
    assert_eq!(&*error, "no connection within 400ms");
}

#[tokio::test]
async fn an_idle_line_that_falls_silent_is_noticed_by_its_pings() {
    let silent = Script { stall: Some(Stall::AfterConnack), ..Script::default() };
    let cloud = Cloud::start(vec![silent, Script::default()]).await;
    let rig = Rig::start(&config(&cloud.url, "keep_alive = '1s'"), vec![Memory::new("t", 5)]);
    until("a second connection", || rig.status().connections == 2).await;
    let error = rig.status().last_error.expect("a reason");
    assert_eq!(&*error, "a ping was not answered within 400ms");
}

#[tokio::test]
async fn a_cloud_that_is_away_is_found_when_it_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let rig = Rig::start(
        &config(&format!("mqtt://{address}"), ""),
        vec![Memory::filled("telemetry", 5, 100)],
    );
    until("it backs off", || matches!(rig.status().state, State::BackingOff { .. })).await;
    let beats = rig.beats();
    until("it shows life meanwhile", || rig.beats() > beats).await;
    assert_eq!(rig.streams[0].unsettled().len(), 100);
    let listener = TcpListener::bind(address).await.unwrap();
    let cloud = Cloud::listen(listener, vec![Script::default()]);
    rig.drained().await;
    assert_eq!(cloud.count(|packet| matches!(packet, Packet::Publish(_))), 100);
}

#[tokio::test]
async fn an_ipv6_address_in_brackets_is_connected_to() {
    // A machine without IPv6 has nothing to connect to.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let cloud = Cloud::listen(listener, vec![Script::default()]);
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 5)]);
    rig.drained().await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_trouble_with_the_network() {
    let config = config("mqtt://no-such-host.invalid", "insecure = true\nack_timeout = '5s'");
    let rig = Rig::start(&config, vec![Memory::filled("telemetry", 5, 1)]);
    until("it backs off", || matches!(rig.status().state, State::BackingOff { .. })).await;
    assert!(rig.status().last_error.is_some());
    rig.stop().await;
}

#[tokio::test]
async fn stopping_ends_a_pause_and_an_attempt_at_once() {
    let mute = Script { stall: Some(Stall::BeforeConnack), ..Script::default() };
    let cloud = Cloud::start(vec![mute]).await;
    let rig = Rig::start(&config(&cloud.url, "ack_timeout = '1h'"), vec![Memory::new("t", 5)]);
    cloud.has_seen("CONNECT", 1, |packet| matches!(packet, Packet::Connect(_))).await;
    let start = Instant::now();
    rig.stop().await;

    let refusing = Script { connack: ConnectReturnCode::NotAuthorized, ..Script::default() };
    let cloud = Cloud::start(vec![refusing]).await;
    let rig = Rig::start(&config(&cloud.url, "backoff_refused = '1h'"), vec![Memory::new("t", 5)]);
    until("it is refused", || is_refused(rig.status().state)).await;
    rig.stop().await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_cloud_that_breaks_the_protocol_is_left_and_found_again() {
    let nonsense: [&[u8]; 4] =
        [&[0x20, 2, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0xff], &[0x90, 2, 0, 1], &[0x30, 1, 0xff]];
    let scripts = nonsense.map(|bytes| Script { nonsense: Some(bytes), ..Script::default() });
    let cloud = Cloud::start([scripts.to_vec(), vec![Script::default()]].concat()).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 20)]);
    rig.drained().await;
    assert_eq!(cloud.connections(), 5);
    assert!(rig.status().last_error.expect("a reason").contains("broke the protocol"));
}

#[tokio::test]
async fn a_message_the_cloud_closes_on_is_set_aside_and_the_others_go_up() {
    let denying = Script { denies: Some("57"), ..Script::default() };
    let cloud = Cloud::start(vec![denying]).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 300)]);
    until("the others are delivered", || rig.streams[0].unsettled() == [57]).await;
    rig.streams[0].push("gw/t", "300".into());
    until("what comes later is delivered", || rig.streams[0].unsettled() == [57]).await;
    let expected: Vec<String> = (0..=300).map(|n: u64| n.to_string()).collect();
    assert_eq!(cloud.first_payloads(), expected, "each was tried, in order");
    assert_eq!(rig.stop().await.set_aside, 1);
}

#[tokio::test]
async fn a_cloud_that_closes_on_everything_has_one_message_set_aside_and_no_more() {
    let closing = Script { close_at: Some(0), ..Script::default() };
    let cloud = Cloud::start([vec![closing; 20], vec![Script::default()]].concat()).await;
    let rig = Rig::start(&config(&cloud.url, ""), vec![Memory::filled("telemetry", 5, 100)]);
    until("all but one are delivered", || rig.streams[0].unsettled().len() == 1).await;
    assert_eq!(rig.stop().await.set_aside, 1);
}
