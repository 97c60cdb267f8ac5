//! What the broker counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The broker's counters. Each only grows, but for the gauge `connections`.
        #[derive(Debug, Default)]
        pub struct BrokerCounters {
            $(pub(super) $name: Counter,)+
        }

        /// The counters at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct BrokerSnapshot {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl BrokerCounters {
            /// The counters at this moment.
            pub fn snapshot(&self) -> BrokerSnapshot {
                BrokerSnapshot { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Connections open now, from accept to close.
    connections,
    /// Connections accepted.
    connections_accepted,
    /// Connections closed at once, since `limits.connections_max` were open.
    refused_connections_max,
    /// TLS handshakes that failed.
    refused_tls,
    /// Connections that did not send a whole CONNECT in `limits.connect_timeout`.
    refused_timeout,
    /// CONNECTs with wrong or missing credentials.
    refused_credentials,
    /// First packets that were not a well-formed CONNECT.
    refused_malformed,
    /// CONNECTs refused for `limits.sessions_max`, or since an earlier connection held on.
    refused_session,
    /// Connections that broke the protocol after their CONNECT.
    protocol_errors,
    /// Connections given up for silence.
    keep_alive_timeouts,
    /// Connections given up since they did not take what was sent.
    write_timeouts,
    /// Connections taken over by a newer one of the same client.
    takeovers,
    /// Messages from clients at QoS 0.
    received_qos0,
    /// Messages from clients at QoS 1.
    received_qos1,
    /// Messages from clients at QoS 2.
    received_qos2,
    /// Messages at QoS 2 that were sent again, and not taken in again.
    received_again,
    /// Messages that the entrance, or the broker itself, did not take.
    refused_messages,
    /// PUBACK and PUBREC sent for accepted messages.
    acknowledged,
    /// Messages written to subscribers, at any QoS.
    delivered,
    /// Messages for a subscriber dropped since its outbox was full.
    dropped_full,
    /// Messages for a subscriber dropped since it had been found too slow.
    dropped_slow,
    /// Messages for a subscriber dropped since their time was over.
    dropped_expired,
    /// Messages for a subscriber dropped since it does not take packets of their size.
    dropped_too_large,
    /// Retained messages not kept, for `limits.retained_messages_max` or `_bytes_max`.
    retained_refused,
    /// Wills published.
    wills,
    /// Sessions that came to an end by time.
    sessions_expired,
}

/// One counter.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts one more, and says how many that makes.
    pub fn increment(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
