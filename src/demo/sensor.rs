//! A weather sensor: measures at a steady pace, publishes at QoS 1 over mutual TLS, and keeps
//! what was not acknowledged.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rumqttc::{
    AsyncClient, Event, MqttOptions, Outgoing, Packet, QoS, TlsConfiguration, Transport,
};
use rustls::ClientConfig;
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::outbox::{INFLIGHT_MAX, Outbox};

/// How long a sensor waits before it connects again.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(200);
/// Events that may wait for the sensor; when they do, its connection waits.
const EVENTS_MAX: usize = 64;
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What a sensor is.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name: the certificate's common name, the client id, the last level of its topic.
    pub name: String,
    /// Samples per second.
    pub rate: u32,
    /// Its certificate, and whom it trusts.
    pub tls: Arc<ClientConfig>,
}

/// A running sensor; it stops when this is dropped.
#[derive(Debug)]
pub struct Sensor {
    name: String,
    outbox: Arc<Mutex<Outbox>>,
    finish: CancellationToken,
    task: JoinHandle<()>,
}

impl Sensor {
    /// Starts measuring; the gateway is found at `address`, when there is one.
    pub fn start(model: Model, address: watch::Receiver<Option<SocketAddr>>) -> Self {
        let outbox = Arc::new(Mutex::new(Outbox::default()));
        let finish = CancellationToken::new();
        let name = model.name.clone();
        let work = run(model, address, Arc::clone(&outbox), finish.clone());
        Self { name, outbox, finish, task: tokio::spawn(work) }
    }

    /// The sensor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The numbers of the samples that the gateway acknowledged.
    pub fn acknowledged(&self) -> Vec<u64> {
        lock(&self.outbox).acknowledged().to_vec()
    }

    /// How many samples it holds, and how many it could not take.
    pub fn held_and_skipped(&self) -> (u64, u64) {
        let outbox = lock(&self.outbox);
        (outbox.held(), outbox.skipped())
    }

    /// Measures no more; what is held is still sent.
    pub fn finish(&self) {
        self.finish.cancel();
    }

    /// Whether it has finished, with everything acknowledged.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(outbox: &Mutex<Outbox>) -> MutexGuard<'_, Outbox> {
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(
    model: Model,
    address: watch::Receiver<Option<SocketAddr>>,
    outbox: Arc<Mutex<Outbox>>,
    finish: CancellationToken,
) {
    let mut measure = time::interval(Duration::from_secs(1) / model.rate.max(1));
    measure.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut reconnect = time::interval(RECONNECT_INTERVAL);
    reconnect.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection: Option<Connection> = None;
    let topic = format!("sensors/{}", model.name);
    loop {
        tokio::select! {
            _ = measure.tick(), if !finish.is_cancelled() => {
                lock(&outbox).take(|number| sample(&model.name, number));
            }
            event = next_event(&mut connection) => {
                let mut outbox = lock(&outbox);
                match event {
                    Some(Happened::Connected) => {
                        if let Some(connection) = &mut connection {
                            connection.ready = true;
                        }
                    }
                    Some(Happened::Sent(packet_id)) => outbox.sent(packet_id),
                    Some(Happened::Acknowledged(packet_id)) => outbox.acknowledge(packet_id),
                    None => connection = None,
                }
            }
            _ = reconnect.tick(), if connection.is_none() => {
                let address = *address.borrow();
                connection = address.map(|address| Connection::open(&model, address));
                lock(&outbox).reconnected();
            }
            () = finish.cancelled(), if lock(&outbox).held() == 0 => return,
        }
        if !publish(connection.as_ref(), &topic, &outbox) {
            connection = None;
        }
    }
}

/// Hands what it may to the connection; false if that takes nothing any more.
fn publish(connection: Option<&Connection>, topic: &str, outbox: &Mutex<Outbox>) -> bool {
    let Some(connection) = connection.filter(|connection| connection.ready) else { return true };
    let mut outbox = lock(outbox);
    while let Some(sample) = outbox.submit() {
        if connection.client.try_publish(topic, QoS::AtLeastOnce, false, sample).is_err() {
            return false;
        }
    }
    true
}

/// A made-up sample that changes slowly.
fn sample(name: &str, number: u64) -> Vec<u8> {
    let phase = number as f64 / 60.0;
    let round = |value: f64| (value * 100.0).round() / 100.0;
    json!({
        "sensor": name,
        "seq": number,
        "temperature_c": round(12.0 + 6.0 * phase.sin()),
        "humidity_pct": round(70.0 - 15.0 * phase.sin()),
        "pressure_hpa": round(1013.0 + 4.0 * (phase / 3.0).cos()),
        "wind_m_s": round(4.0 + 3.0 * (phase * 2.0).sin().abs()),
    })
    .to_string()
    .into_bytes()
}

enum Happened {
    Connected,
    Sent(u16),
    Acknowledged(u16),
}

/// One connection, driven by a task of its own, never resumed: after any error comes a new one.
struct Connection {
    client: AsyncClient,
    events: mpsc::Receiver<Happened>,
    driver: JoinHandle<()>,
    ready: bool,
}

impl Connection {
    fn open(model: &Model, address: SocketAddr) -> Self {
        let mut options = MqttOptions::new(&model.name, address.ip().to_string(), address.port());
        options.set_keep_alive(KEEP_ALIVE);
        options.set_clean_session(true);
        options.set_inflight(INFLIGHT_MAX as u16);
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(
            &model.tls,
        ))));
        let (client, mut eventloop) = AsyncClient::new(options, INFLIGHT_MAX);
        eventloop.network_options.set_tcp_nodelay(true);
        let (happened, events) = mpsc::channel(EVENTS_MAX);
        let driver = tokio::spawn(async move {
            while let Ok(event) = eventloop.poll().await {
                let event = match event {
                    Event::Incoming(Packet::ConnAck(_)) => Happened::Connected,
                    Event::Outgoing(Outgoing::Publish(packet_id)) => Happened::Sent(packet_id),
                    Event::Incoming(Packet::PubAck(ack)) => Happened::Acknowledged(ack.pkid),
                    _ => continue,
                };
                if happened.send(event).await.is_err() {
                    return;
                }
            }
        });
        Self { client, events, driver, ready: false }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn next_event(connection: &mut Option<Connection>) -> Option<Happened> {
    match connection {
        Some(connection) => connection.events.recv().await,
        None => std::future::pending().await,
    }
}
