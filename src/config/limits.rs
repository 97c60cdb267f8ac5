//! `[limits]`

use std::time::Duration;

use serde::Deserialize;

/// The bounds of the local broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Connections at once, over all listeners.
    pub connections_max: usize,
    /// Sessions kept, connected or not.
    pub sessions_max: usize,
    /// The largest MQTT packet taken from a device.
    pub packet_bytes_max: usize,
    /// Messages sent to one device and not yet acknowledged by it; also how many it may have
    /// unacknowledged towards the broker (receive maximum).
    pub inflight_max: u16,
    /// Messages that wait for one subscriber.
    pub outbox_messages_max: usize,
    /// Payload bytes that wait for one subscriber.
    pub outbox_bytes_max: usize,
    /// Subscriptions of one session.
    pub subscriptions_max: usize,
    /// Retained messages on the whole broker.
    pub retained_messages_max: usize,
    /// Payload bytes of all retained messages.
    pub retained_bytes_max: usize,
    /// How long a session without a connection is kept.
    #[serde(with = "humantime_serde")]
    pub session_expiry_max: Duration,
    /// How long a new connection may take for its TLS handshake and its CONNECT.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            sessions_max: 2_000,
            packet_bytes_max: 256 * 1024,
            inflight_max: 100,
            outbox_messages_max: 1_000,
            outbox_bytes_max: 4 * 1024 * 1024,
            subscriptions_max: 200,
            retained_messages_max: 10_000,
            retained_bytes_max: 16 * 1024 * 1024,
            session_expiry_max: Duration::from_hours(7 * 24),
            connect_timeout: Duration::from_secs(10),
        }
    }
}
