//! What the bus counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use holdfast_adapter_api::{Counter, Counters, DeviceName};

/// Exception codes from this one on are counted together.
const EXCEPTION_CODES: usize = 16;

/// All counts of one adapter.
#[derive(Debug)]
pub(crate) struct Tallies {
    adapter: String,
    pub(crate) bus: BusTally,
    devices: Vec<(DeviceName, Arc<DeviceTally>)>,
}

/// What is counted for the bus as a whole.
#[derive(Debug, Default)]
pub(crate) struct BusTally {
    pub(crate) opened: Count,
    pub(crate) open_failures: Count,
    pub(crate) losses: Count,
    pub(crate) busy_micros: Count,
    pub(crate) bytes_sent: Count,
    pub(crate) bytes_received: Count,
    pub(crate) late_bytes: Count,
    pub(crate) echoes: Count,
}

/// What is counted for each device.
#[derive(Debug, Default)]
pub(crate) struct DeviceTally {
    pub(crate) requests: Count,
    pub(crate) ok: Count,
    pub(crate) timeouts: Count,
    pub(crate) crc_errors: Count,
    pub(crate) mismatches: Count,
    pub(crate) stale_bytes: Count,
    pub(crate) missed_slots: Count,
    pub(crate) fences: Count,
    pub(crate) writes: Count,
    pub(crate) round_trip_micros: Count,
    pub(crate) went_offline: Count,
    exceptions: [Count; EXCEPTION_CODES],
}

/// One count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, number: impl Into<u64>) {
        self.0.fetch_add(number.into(), Relaxed);
    }

    pub(crate) fn add_micros(&self, duration: Duration) {
        self.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl DeviceTally {
    pub(crate) fn exception(&self, code: u8) {
        self.exceptions[usize::from(code).min(EXCEPTION_CODES - 1)].add(1_u64);
    }
}

impl Tallies {
    pub(crate) fn new(adapter: &str, devices: impl IntoIterator<Item = DeviceName>) -> Self {
        let devices = devices.into_iter().map(|name| (name, Arc::default())).collect();
        Self { adapter: adapter.to_owned(), bus: BusTally::default(), devices }
    }

    /// The counts of the device with this index.
    pub(crate) fn device(&self, index: usize) -> Arc<DeviceTally> {
        Arc::clone(&self.devices[index].1)
    }
}

impl Counters for Tallies {
    fn snapshot(&self) -> Vec<Counter> {
        let BusTally {
            opened,
            open_failures,
            losses,
            busy_micros,
            bytes_sent,
            bytes_received,
            late_bytes,
            echoes,
        } = &self.bus;
        let bus = [
            ("opened", opened),
            ("open_failures", open_failures),
            ("losses", losses),
            ("busy_micros", busy_micros),
            ("bytes_sent", bytes_sent),
            ("bytes_received", bytes_received),
            ("late_bytes", late_bytes),
            ("echoes", echoes),
        ];
        let adapter = || ("adapter", self.adapter.clone());
        let counter = |(name, count): (&'static str, &Count), labels| Counter {
            name,
            labels,
            value: count.get(),
        };
        let mut counters: Vec<Counter> =
            bus.into_iter().map(|count| counter(count, vec![adapter()])).collect();
        for (name, tally) in &self.devices {
            let device = || vec![adapter(), ("device", name.to_string())];
            let counts = tally.counts();
            counters.extend(counts.into_iter().map(|count| counter(count, device())));
            for (code, count) in tally.exceptions.iter().enumerate() {
                if count.get() > 0 {
                    let mut labels = device();
                    labels.push(("code", code.to_string()));
                    counters.push(counter(("exceptions", count), labels));
                }
            }
        }
        counters
    }
}

impl DeviceTally {
    fn counts(&self) -> [(&'static str, &Count); 11] {
        [
            ("requests", &self.requests),
            ("ok", &self.ok),
            ("timeouts", &self.timeouts),
            ("crc_errors", &self.crc_errors),
            ("mismatches", &self.mismatches),
            ("stale_bytes", &self.stale_bytes),
            ("missed_slots", &self.missed_slots),
            ("fences", &self.fences),
            ("writes", &self.writes),
            ("round_trip_micros", &self.round_trip_micros),
            ("went_offline", &self.went_offline),
        ]
    }
}
