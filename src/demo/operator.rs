//! Somebody at the cloud who sends one command down, through the same door with a certificate of
//! their own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, MqttOptions, Packet, QoS, TlsConfiguration,
    Transport,
};
use rustls::ClientConfig;
use thiserror::Error;
use tokio::time;

/// How long publishing may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The command could not be handed to the cloud.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// The message was not taken.
    #[error("the command cannot be published: {0}")]
    Client(#[from] ClientError),
    /// The connection failed.
    #[error("the operator's connection to the cloud failed: {0}")]
    Connection(#[from] Box<ConnectionError>),
    /// No answer came.
    #[error("the cloud did not acknowledge the command within {PUBLISH_TIMEOUT:?}")]
    Timeout,
}

/// Publishes one message at QoS 1 and waits until the cloud has acknowledged it.
pub async fn publish(
    cloud: SocketAddr,
    tls: Arc<ClientConfig>,
    topic: &str,
    payload: Vec<u8>,
) -> Result<(), OperatorError> {
    let mut options = MqttOptions::new("operator", cloud.ip().to_string(), cloud.port());
    options.set_keep_alive(KEEP_ALIVE);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    let (client, mut eventloop) = AsyncClient::new(options, 1);
    client.try_publish(topic, QoS::AtLeastOnce, false, payload)?;
    let acknowledged = async {
        loop {
            if let Event::Incoming(Packet::PubAck(_)) = eventloop.poll().await.map_err(Box::new)? {
                return Ok(());
            }
        }
    };
    time::timeout(PUBLISH_TIMEOUT, acknowledged).await.map_err(|_| OperatorError::Timeout)?
}
