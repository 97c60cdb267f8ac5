//! Many devices at once, on one thread.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    device::{Device, DeviceLog},
    wait::wait_until,
};

/// Where the gateway listens at the moment; it may move when it restarts.
#[derive(Debug, Clone)]
pub struct Address(Arc<Mutex<SocketAddr>>);

impl Address {
    /// An address that can be changed later.
    pub fn new(address: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(address)))
    }

    /// The address now.
    pub fn get(&self) -> SocketAddr {
        *self.0.lock().expect("no holder panics")
    }

    /// Moves it.
    pub fn set(&self, address: SocketAddr) {
        *self.0.lock().expect("no holder panics") = address;
    }
}

/// What the devices are to publish.
#[derive(Debug, Clone)]
pub struct Load {
    /// How many devices, called `d00`, `d01` …
    pub devices: usize,
    /// How many messages each publishes.
    pub messages_each: u64,
    /// How many each may have unacknowledged.
    pub window: usize,
    /// The length of a payload.
    pub payload_bytes: usize,
    /// Each publishes on this topic, a slash and its own name.
    pub topic: String,
    /// Every n-th message of a device goes to `<topic>/marks/<device>` instead.
    pub marks_every: Option<u64>,
    /// The MQTT keep-alive that they announce (they send no pings: give none, or much).
    pub keep_alive: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            devices: 20,
            messages_each: 5_000,
            window: 50,
            payload_bytes: 256,
            topic: "sensors".to_owned(),
            marks_every: None,
            keep_alive: Duration::ZERO,
        }
    }
}

pub(super) struct Shared {
    pub(super) load: Load,
    pub(super) address: Address,
    pub(super) acknowledged: AtomicU64,
}

/// A running fleet.
pub struct Fleet {
    shared: Arc<Shared>,
    thread: JoinHandle<(Vec<DeviceLog>, Duration)>,
}

impl Fleet {
    /// Starts all devices.
    pub fn start(load: Load, address: Address) -> Self {
        let shared = Arc::new(Shared { load, address, acknowledged: AtomicU64::new(0) });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let devices =
                (0..for_thread.load.devices).map(|number| Device::new(&for_thread, number).run());
            let logs = runtime.block_on(futures_util::future::join_all(devices));
            (logs, started.elapsed())
        });
        Self { shared, thread }
    }

    /// How many messages were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// How many messages all devices are to publish.
    pub fn total(&self) -> u64 {
        self.shared.load.devices as u64 * self.shared.load.messages_each
    }

    /// Waits until every message is acknowledged; panics if that takes longer than `limit`.
    /// What each device has seen, and how long it took from the start.
    #[track_caller]
    pub fn finish(self, limit: Duration) -> (Vec<DeviceLog>, Duration) {
        wait_until("every message of the devices is acknowledged", limit, || {
            self.thread.is_finished()
        });
        self.thread.join().expect("the devices do not panic")
    }
}
