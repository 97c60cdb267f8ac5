//! Holdfast beside a mosquitto bridge: the same machine, the same run, the same load.
//!
//! ```text
//! cargo bench --bench bridge                               absorb and drain, both, with ratios
//! cargo bench --bench bridge -- --backlog 1000000          memory and start-up with a backlog
//! ```
//!
//! 20 devices with 50 messages in flight each publish at QoS 1 while the cloud is away (absorb);
//! then the cloud, a mosquitto that requires client certificates, comes up (drain). Both bridges
//! queue without limit. Holdfast has synced every message that it acknowledged; mosquitto has
//! them in memory.

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod support;

mod backlog;
mod contender;
mod marks;
mod outage;

use std::time::Duration;

use clap::Parser;

use contender::Kind;

/// The benchmark's arguments.
#[derive(Debug, Clone, Parser)]
pub struct Arguments {
    /// Messages that each of the devices publishes
    #[arg(long, default_value_t = 10_000)]
    messages_each: u64,
    /// Devices
    #[arg(long, default_value_t = 20)]
    devices: usize,
    /// Messages that a device may have unacknowledged
    #[arg(long, default_value_t = 50)]
    window: usize,
    /// Bytes of a payload
    #[arg(long, default_value_t = 256)]
    payload_bytes: usize,
    /// Messages in flight towards the cloud; 0 is mosquitto's "no limit", and Holdfast's default
    #[arg(long, default_value_t = 100)]
    inflight: u16,
    /// Runs of each contender, in turn; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only this contender
    #[arg(long, value_enum)]
    only: Option<Kind>,
    /// Measure memory and start-up with so many messages queued instead
    #[arg(long)]
    backlog: Option<u64>,
    /// The cloud sends each PUBACK at once; mosquitto's default is to gather them (Nagle)
    #[arg(long)]
    cloud_nodelay: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Every so many messages of a device one goes to a topic that is watched at the cloud.
    const MARKS_EVERY: u64 = 500;

    fn load(&self) -> support::Load {
        // The last message of each device must be a mark, so that the end of a drain is seen.
        let messages_each = self.messages_each.div_ceil(Self::MARKS_EVERY) * Self::MARKS_EVERY + 1;
        support::Load {
            devices: self.devices,
            messages_each,
            window: self.window,
            payload_bytes: self.payload_bytes,
            topic: "sensors".to_owned(),
            marks_every: Some(Self::MARKS_EVERY),
            keep_alive: Duration::ZERO,
        }
    }

    fn cloud_options(&self) -> &'static str {
        if self.cloud_nodelay { "set_tcp_nodelay true" } else { "" }
    }

    fn kinds(&self) -> Vec<Kind> {
        self.only.map_or_else(|| vec![Kind::Holdfast, Kind::Mosquitto], |kind| vec![kind])
    }
}

fn main() {
    let mut arguments = Arguments::parse();
    if let Some(messages) = arguments.backlog {
        arguments.messages_each = messages / arguments.devices as u64;
        backlog::measure(&arguments);
    } else {
        outage::compare(&arguments);
    }
}
