use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS, TlsConfiguration,
    Transport,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::*;
use crate::demo::{
    certificates::{Authority, Role},
    sensor::{Model, Sensor},
};

const GATEWAY: &str = "gw";
/// How long anything may take here before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must happen before a test believes that nothing happens.
const QUIET: Duration = Duration::from_millis(400);

struct Setup {
    authority: Authority,
    cloud: Cloud,
}

async fn set_up() -> Setup {
    let authority = Authority::new("cloud").unwrap();
    let server = authority.issue("cloud", Role::Server).unwrap();
    let cloud = Cloud::start(server.server_config(&authority).unwrap(), GATEWAY).await.unwrap();
    Setup { authority, cloud }
}

impl Setup {
    /// A client with a certificate of this name by this authority.
    fn client(&self, name: &str, issuer: &Authority) -> (AsyncClient, EventLoop) {
        let tls = issuer.issue(name, Role::Client).unwrap().client_config(&self.authority).unwrap();
        let address = self.cloud.address();
        let mut options = MqttOptions::new(name, address.ip().to_string(), address.port());
        let tls = TlsConfiguration::Rustls(Arc::new(tls));
        options.set_transport(Transport::tls_with_config(tls));
        AsyncClient::new(options, 10)
    }
}

fn envelope(number: u64) -> String {
    format!(r#"{{"id":"gw/t/{number}","source":"w","payload":{{"seq":{number}}}}}"#)
}

fn publish(client: &AsyncClient, number: u64) {
    client.try_publish("gw/w", QoS::AtLeastOnce, false, envelope(number)).unwrap();
}

async fn acknowledged(eventloop: &mut EventLoop) -> Result<(), ConnectionError> {
    loop {
        if let Event::Incoming(Packet::PubAck(_)) = eventloop.poll().await? {
            return Ok(());
        }
    }
}

async fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come about");
        time::sleep(START_POLL).await;
    }
}

#[tokio::test]
async fn what_the_cloud_acknowledged_to_the_gateway_is_recorded() {
    let setup = set_up().await;
    let (client, mut eventloop) = setup.client(GATEWAY, &setup.authority);
    publish(&client, 7);
    timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().unwrap();
    assert!(setup.cloud.recorder().samples("w").contains(&7));
}

#[tokio::test]
async fn what_somebody_else_publishes_is_not_recorded() {
    let setup = set_up().await;
    let (client, mut eventloop) = setup.client("operator", &setup.authority);
    publish(&client, 7);
    timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().unwrap();
    assert!(setup.cloud.recorder().records().arrivals.is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let setup = set_up().await;
    let stranger = Authority::new("cloud").unwrap();
    let (client, mut eventloop) = setup.client(GATEWAY, &stranger);
    publish(&client, 7);
    assert!(timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().is_err());
    assert!(setup.cloud.recorder().records().arrivals.is_empty());
}

#[tokio::test]
async fn a_command_published_at_the_cloud_reaches_the_subscribed_gateway() {
    let setup = set_up().await;
    let (client, mut eventloop) = setup.client(GATEWAY, &setup.authority);
    client.try_subscribe("gw/commands/#", QoS::AtLeastOnce).unwrap();
    let (seen, mut commands) = watch::channel(None);
    let polling = tokio::spawn(async move {
        while let Ok(event) = eventloop.poll().await {
            if let Event::Incoming(Packet::Publish(command)) = event {
                seen.send_replace(Some(command.payload));
            }
        }
    });
    eventually(|| setup.cloud.recorder().is_subscribed()).await;
    let operator = setup.authority.issue("operator", Role::Client).unwrap();
    let tls = Arc::new(operator.client_config(&setup.authority).unwrap());
    let topic = "gw/commands/demo";
    let address = setup.cloud.address();
    crate::demo::operator::publish(address, tls, topic, b"off".to_vec()).await.unwrap();
    let command = timeout(PATIENCE, commands.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!(command.as_deref(), Some(&b"off"[..]));
    polling.abort();
}

#[tokio::test]
async fn a_silent_line_carries_nothing_and_goes_on_when_it_is_mended() {
    let setup = set_up().await;
    let (client, mut eventloop) = setup.client(GATEWAY, &setup.authority);
    publish(&client, 1);
    timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().unwrap();

    setup.cloud.set_line(Line::Silent);
    publish(&client, 2);
    assert!(timeout(QUIET, acknowledged(&mut eventloop)).await.is_err(), "not even an error");
    assert!(!setup.cloud.recorder().samples("w").contains(&2));

    setup.cloud.set_line(Line::Open);
    timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().unwrap();
    assert!(setup.cloud.recorder().samples("w").contains(&2));
}

#[tokio::test]
async fn a_line_that_is_down_breaks_connections_and_takes_none_until_it_is_mended() {
    let setup = set_up().await;
    let (client, mut eventloop) = setup.client(GATEWAY, &setup.authority);
    publish(&client, 1);
    timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().unwrap();

    setup.cloud.set_line(Line::Down);
    assert!(timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().is_err());
    let (client, mut eventloop) = setup.client(GATEWAY, &setup.authority);
    publish(&client, 2);
    assert!(timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().is_err());
    assert!(!setup.cloud.recorder().is_subscribed());

    setup.cloud.set_line(Line::Open);
    let (client, mut eventloop) = setup.client(GATEWAY, &setup.authority);
    publish(&client, 3);
    timeout(PATIENCE, acknowledged(&mut eventloop)).await.unwrap().unwrap();
    assert!(setup.cloud.recorder().samples("w").contains(&3));
}

#[tokio::test]
async fn a_sensor_resends_after_each_break_until_every_sample_is_acknowledged() {
    let setup = set_up().await;
    // The cloud stands in for the gateway: to a sensor both are a broker behind mutual TLS.
    let tls = setup.authority.issue(GATEWAY, Role::Client).unwrap();
    let model = Model {
        name: "w".to_owned(),
        rate: 200,
        tls: Arc::new(tls.client_config(&setup.authority).unwrap()),
    };
    let (_door, address) = watch::channel(Some(setup.cloud.address()));
    let sensor = Sensor::start(model, address);
    for _ in 0..3 {
        let before = sensor.acknowledged().len();
        eventually(|| sensor.acknowledged().len() > before + 20).await;
        setup.cloud.set_line(Line::Down);
        eventually(|| sensor.held_and_skipped().0 > 30).await;
        setup.cloud.set_line(Line::Open);
    }
    sensor.finish();
    eventually(|| sensor.is_finished()).await;
    let acknowledged = sensor.acknowledged();
    assert_eq!(acknowledged, (0..acknowledged.len() as u64).collect::<Vec<_>>());
    // A bare sample is no envelope, so the recorder counts it as unreadable: that is its arrival.
    assert!(setup.cloud.recorder().records().unreadable >= acknowledged.len() as u64);
}
