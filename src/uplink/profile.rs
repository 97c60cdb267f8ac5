//! The kinds of cloud and their limits.
//!
//! Rates are four fifths of what the cloud allows one connection; see [`super::bucket`] for why
//! that keeps every single second under the limit. Sources: the AWS IoT Core and Azure Event Grid
//! quota pages. Quotas change: what can differ from account to account is configuration.

use std::{ops::RangeInclusive, time::Duration};

use crate::config;

/// The ALPN protocol by which AWS IoT Core tells MQTT with a client certificate from HTTPS on
/// port 443.
const ALPN_MQTT_MUTUAL_TLS: &str = "x-amzn-mqtt-ca";
/// The port that MQTT shares with HTTPS.
const PORT_HTTPS: u16 = 443;
/// Levels that `$aws/rules/<rule>/` takes and AWS IoT Core does not count.
const BASIC_INGEST_LEVELS: usize = 3;

/// What the cloud takes in one message: the limits at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest payload.
    pub payload_bytes_max: usize,
    /// The longest topic, in bytes of UTF-8.
    pub topic_bytes_max: usize,
    /// The deepest topic: `a/b` has two levels.
    pub topic_levels_max: usize,
    /// Whether the prefix `$aws/rules/<rule>/` is free of levels.
    basic_ingest: bool,
}

impl Limits {
    /// Whether the cloud takes messages under this topic: length, depth, and the rules of MQTT
    /// for a topic name.
    pub fn admit_topic(&self, topic: &str) -> bool {
        let levels = topic.split('/').count();
        let free =
            if self.basic_ingest && is_basic_ingest(topic) { BASIC_INGEST_LEVELS } else { 0 };
        !topic.is_empty()
            && topic.len() <= self.topic_bytes_max
            && levels - free <= self.topic_levels_max
            && !topic.contains(['+', '#', '\0'])
    }

    /// Whether the cloud takes a payload of this size.
    pub fn admit_payload(&self, bytes: usize) -> bool {
        bytes <= self.payload_bytes_max
    }
}

fn is_basic_ingest(topic: &str) -> bool {
    let mut levels = topic.split('/');
    levels.next() == Some("$aws")
        && levels.next() == Some("rules")
        && levels.next().is_some_and(|rule| !rule.is_empty())
        && levels.next().is_some()
}

/// A kind of cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What it takes in one message.
    pub limits: Limits,
    /// Messages per second that are sent to it; `None` is unlimited.
    pub messages_per_second_max: Option<u32>,
    /// Topic and payload bytes per second that are sent to it; `None` is unlimited.
    pub bytes_per_second_max: Option<u64>,
    /// Messages in flight.
    pub inflight_max: u16,
    /// Topic and payload bytes in flight, which bounds memory too.
    pub inflight_bytes_max: usize,
    /// The MQTT keep-alive it accepts.
    pub keep_alive: RangeInclusive<Duration>,
    /// Filters in one SUBSCRIBE.
    pub filters_per_subscribe_max: usize,
    /// The client id's longest form, in bytes.
    pub client_id_bytes_max: usize,
    alpn_on_https: Option<&'static str>,
}

impl Profile {
    /// The profile of a kind of cloud.
    pub fn of(kind: config::Profile) -> Self {
        match kind {
            config::Profile::Generic => Self::generic(),
            config::Profile::Aws => Self::aws(),
            config::Profile::Azure => Self::azure(),
        }
    }

    /// The ALPN protocols to offer on this port.
    pub fn alpn(&self, port: u16) -> Vec<String> {
        let offered = self.alpn_on_https.filter(|_| port == PORT_HTTPS);
        offered.map(str::to_owned).into_iter().collect()
    }

    fn generic() -> Self {
        Self {
            limits: Limits {
                payload_bytes_max: 1_000_000,
                topic_bytes_max: usize::from(u16::MAX),
                topic_levels_max: 128,
                basic_ingest: false,
            },
            messages_per_second_max: None,
            bytes_per_second_max: None,
            inflight_max: 100,
            inflight_bytes_max: 4 * 1024 * 1024,
            keep_alive: seconds(1, u64::from(u16::MAX)),
            filters_per_subscribe_max: 8,
            client_id_bytes_max: usize::from(u16::MAX),
            alpn_on_https: None,
        }
    }

    fn aws() -> Self {
        Self {
            limits: Limits {
                payload_bytes_max: 128 * 1024,
                topic_bytes_max: 256,
                topic_levels_max: 8,
                basic_ingest: true,
            },
            messages_per_second_max: Some(80),
            bytes_per_second_max: Some(512 * 1024 * 4 / 5),
            inflight_max: 50,
            inflight_bytes_max: 1024 * 1024,
            keep_alive: seconds(30, 1_200),
            filters_per_subscribe_max: 8,
            client_id_bytes_max: 128,
            alpn_on_https: Some(ALPN_MQTT_MUTUAL_TLS),
        }
    }

    fn azure() -> Self {
        Self {
            limits: Limits {
                payload_bytes_max: 512 * 1024,
                topic_bytes_max: 256,
                topic_levels_max: 16,
                basic_ingest: false,
            },
            messages_per_second_max: Some(800),
            bytes_per_second_max: Some(1024 * 1024 * 4 / 5),
            inflight_max: 100,
            inflight_bytes_max: 64 * 1024,
            keep_alive: seconds(1, 1_160),
            filters_per_subscribe_max: 8,
            client_id_bytes_max: 128,
            alpn_on_https: None,
        }
    }
}

fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_takes_a_topic_of_seven_slashes_and_no_more() {
        let limits = Profile::of(config::Profile::Aws).limits;
        assert!(limits.admit_topic("a/b/c/d/e/f/g/h"));
        assert!(!limits.admit_topic("a/b/c/d/e/f/g/h/i"));
        assert!(limits.admit_topic(&"x".repeat(256)));
        assert!(!limits.admit_topic(&"x".repeat(257)));
        assert!(limits.admit_payload(131_072));
        assert!(!limits.admit_payload(131_073));
    }

    #[test]
    fn the_prefix_of_basic_ingest_is_free_of_levels_at_aws_only() {
        let topic = "$aws/rules/store/a/b/c/d/e/f/g/h";
        assert!(Profile::of(config::Profile::Aws).limits.admit_topic(topic));
        assert!(!Profile::of(config::Profile::Aws).limits.admit_topic(&format!("{topic}/i")));
        assert!(!Profile::of(config::Profile::Aws).limits.admit_topic("$aws/rules//a/b/c/d/e/f/g"));
    }

    #[test]
    fn no_cloud_takes_an_empty_topic_a_wildcard_or_a_nul() {
        for kind in [config::Profile::Generic, config::Profile::Aws, config::Profile::Azure] {
            let limits = Profile::of(kind).limits;
            for topic in ["", "a/+", "#", "a/b#", "a\0b"] {
                assert!(!limits.admit_topic(topic), "{kind:?} {topic:?}");
            }
            assert!(limits.admit_topic("gw-1/sensors/temperature"));
        }
    }

    #[test]
    fn only_aws_on_port_443_is_offered_an_alpn_protocol() {
        assert_eq!(Profile::of(config::Profile::Aws).alpn(443), ["x-amzn-mqtt-ca"]);
        assert!(Profile::of(config::Profile::Aws).alpn(8883).is_empty());
        assert!(Profile::of(config::Profile::Generic).alpn(443).is_empty());
    }
}
