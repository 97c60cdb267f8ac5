//! What the master knows about one device.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    counters::DeviceTally,
    health::{Health, Patience},
    map::DeviceMap,
    plan::Batch,
    schedule::Schedule,
};

/// A point that the device did not have is asked for again after this time: some registers
/// appear only once a device has started up, or an option was fitted.
const MISSING_POINT_RECHECK: Duration = Duration::from_mins(10);

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) map: DeviceMap,
    /// The reads that fetch its points, as learned from its answers.
    pub(super) batches: Vec<Batch>,
    /// Points that it does not have, and when to ask again.
    pub(super) missing: BTreeMap<usize, Instant>,
    pub(super) schedule: Schedule,
    pub(super) health: Health,
    pub(super) tally: Arc<DeviceTally>,
    /// Counts its readings.
    pub(super) sequence: u64,
    /// Whether it refused function 22.
    pub(super) without_mask_write: bool,
    /// When it was last asked for anything.
    pub(super) asked_at: Option<Instant>,
}

impl Device {
    pub(super) fn new(
        map: DeviceMap,
        schedule: Schedule,
        patience: Patience,
        tally: Arc<DeviceTally>,
    ) -> Self {
        Self {
            batches: map.batches.clone(),
            map,
            missing: BTreeMap::new(),
            schedule,
            health: Health::new(patience),
            tally,
            sequence: 0,
            without_mask_write: false,
            asked_at: None,
        }
    }

    /// The next moment at which it is due, as a poll or as a probe.
    pub(super) fn due(&self) -> Instant {
        self.health.probe_at().unwrap_or_else(|| self.schedule.due())
    }

    /// Takes the slot that is due.
    pub(super) fn take_slot(&mut self, now: Instant) {
        let missed = self.schedule.advance(now);
        if !self.health.is_offline() {
            self.tally.missed_slots.add(missed);
        }
    }

    /// Notes that the device has no such point.
    pub(super) fn lacks(&mut self, point: usize, now: Instant) {
        if self.missing.insert(point, now + MISSING_POINT_RECHECK).is_none() {
            tracing::warn!(
                device = %self.map.name,
                point = %self.map.points[point].name,
                address = self.map.spans[point].address,
                "the device has no such register (exception 2); the point is left out of its reads"
            );
        }
    }

    /// A missing point that is to be asked for again.
    pub(super) fn recheck(&self, now: Instant) -> Option<Batch> {
        let (point, _) = self.missing.iter().find(|(_, at)| **at <= now)?;
        Some(Batch { span: self.map.spans[*point], points: vec![*point] })
    }
}
