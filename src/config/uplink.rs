//! `[uplink]`

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

/// The connection to the cloud.
#[derive(Clone, Deserialize)]
pub struct Uplink {
    /// `mqtts://host[:port]`, or `mqtt://` for a broker on loopback.
    pub url: String,
    /// The authority of the server's certificate, PEM.
    pub ca: Option<PathBuf>,
    /// The gateway's certificate chain, PEM.
    pub cert: Option<PathBuf>,
    /// The gateway's private key, PEM.
    pub key: Option<PathBuf>,
    /// User name, where the cloud wants one beside or instead of the certificate.
    pub username: Option<String>,
    /// File that holds the password, so that it stays out of this file.
    pub password_file: Option<PathBuf>,
    /// The MQTT client id; the gateway's id if left out.
    pub client_id: Option<String>,
    /// Allows `mqtt://`, without TLS, to a host that is not this machine.
    #[serde(default)]
    pub insecure: bool,
    /// The kind of cloud: its limits and defaults.
    #[serde(default)]
    pub profile: Profile,
    /// ALPN protocols to offer; left out, the profile's for the port.
    pub alpn: Option<Vec<String>>,
    /// The MQTT keep-alive.
    #[serde(default = "keep_alive", with = "humantime_serde")]
    pub keep_alive: Duration,
    /// Messages sent and not yet acknowledged; the profile's if left out.
    pub inflight_max: Option<u16>,
    /// Messages per second; the profile's if left out.
    pub messages_per_second_max: Option<u32>,
    /// Payload and topic bytes per second; the profile's if left out.
    pub bytes_per_second_max: Option<u64>,
    /// A connection on which nothing was acknowledged for this long, though something is in
    /// flight, is given up.
    #[serde(default = "ack_timeout", with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// The first pause after a failed connection; it doubles up to `backoff_max`, with jitter.
    #[serde(default = "backoff_min", with = "humantime_serde")]
    pub backoff_min: Duration,
    /// The longest pause between connection attempts.
    #[serde(default = "backoff_max", with = "humantime_serde")]
    pub backoff_max: Duration,
    /// The pause after the cloud refused the certificate or the credentials.
    #[serde(default = "backoff_refused", with = "humantime_serde")]
    pub backoff_refused: Duration,
}

/// The kind of cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Any MQTT 3.1.1 broker.
    #[default]
    Generic,
    /// AWS IoT Core.
    Aws,
    /// Azure Event Grid's MQTT broker.
    Azure,
}

impl std::fmt::Debug for Uplink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uplink")
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

fn keep_alive() -> Duration {
    Duration::from_secs(30)
}

fn ack_timeout() -> Duration {
    Duration::from_secs(30)
}

fn backoff_min() -> Duration {
    Duration::from_secs(1)
}

fn backoff_max() -> Duration {
    Duration::from_mins(2)
}

fn backoff_refused() -> Duration {
    Duration::from_mins(15)
}
