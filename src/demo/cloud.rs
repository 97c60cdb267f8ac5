//! The embedded cloud: rumqttd behind our own TLS door.
//!
//! rumqttd runs on threads of its own that cannot be stopped; they end with the process. Its
//! plain listener is on loopback, on a port that only the door uses.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use rustls::ServerConfig;
use thiserror::Error;
use tokio::{net::TcpStream, time};

use super::{
    front::{Front, Line},
    recorder::Recorder,
    tap::PACKET_BYTES_MAX,
};

/// Ports tried before giving up: another process may take one between choice and use.
const PORT_ATTEMPTS_MAX: usize = 5;
/// How often a starting broker is asked whether it listens, and how many times.
const START_POLL: Duration = Duration::from_millis(20);
const START_POLLS_MAX: usize = 150;
/// Well above what can be in flight here, so that the router has no reason to drop anything.
const SEGMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
const SEGMENTS_MAX: usize = 4;

#[cfg(test)]
mod tests;

/// Why there is no cloud.
#[derive(Debug, Error)]
pub enum CloudError {
    /// The broker did not come up.
    #[error("the embedded MQTT broker does not listen on any of {PORT_ATTEMPTS_MAX} ports tried")]
    Broker,
    /// A socket or thread could not be had.
    #[error("cannot open the cloud's door: {0}")]
    Io(#[from] io::Error),
}

/// The embedded cloud.
#[derive(Debug)]
pub struct Cloud {
    front: Front,
    recorder: Arc<Recorder>,
}

impl Cloud {
    /// Starts the cloud; it expects the gateway under the certificate name `gateway`.
    pub async fn start(tls: ServerConfig, gateway: &str) -> Result<Self, CloudError> {
        let broker = start_broker().await?;
        let recorder = Arc::new(Recorder::new(format!("{gateway}/outcomes")));
        let front = Front::open(tls, broker, gateway, Arc::clone(&recorder)).await?;
        Ok(Self { front, recorder })
    }

    /// Where it listens, with TLS.
    pub fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// What arrived.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Cuts or mends the line to it.
    pub fn set_line(&self, line: Line) {
        self.front.set_line(line);
    }
}

async fn start_broker() -> Result<SocketAddr, CloudError> {
    for _ in 0..PORT_ATTEMPTS_MAX {
        let address = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut broker = Broker::new(config(address));
        let thread = thread::Builder::new().name("cloud".to_owned()).spawn(move || {
            // It returns only when it could not listen, which the caller sees for itself.
            let _ = broker.start();
        })?;
        for _ in 0..START_POLLS_MAX {
            if thread.is_finished() {
                break;
            }
            if TcpStream::connect(address).await.is_ok() {
                return Ok(address);
            }
            time::sleep(START_POLL).await;
        }
    }
    Err(CloudError::Broker)
}

fn config(listen: SocketAddr) -> Config {
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: PACKET_BYTES_MAX,
        max_inflight_count: 200,
        auth: None,
        external_auth: None,
        dynamic_filters: false,
    };
    let server = ServerSettings {
        name: "cloud-mqtt".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    Config {
        router: RouterConfig {
            max_connections: 32,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES_MAX,
            max_segment_count: SEGMENTS_MAX,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("cloud".to_owned(), server)])),
        ..Config::default()
    }
}
