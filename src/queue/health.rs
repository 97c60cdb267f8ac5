//! How the queue is, for whoever watches over it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    Condition, Counts, Stamp,
    clock::age_millis,
    disk::Space,
    forecast::{Forecast, Situation, disk_full_in, forecast},
    reader,
    state::Shared,
    trend::Rates,
    wear::{Wear, flash_life_years},
};

/// One stream's health.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamHealth {
    /// The stream.
    pub stream: String,
    /// What it is able to do.
    #[serde(flatten)]
    pub condition: Condition,
    /// For how long that has been so, to about a second, and at most since the queue was opened.
    pub condition_millis: u64,
    /// What came in and what became of it: the ledger's sum over all sources.
    pub totals: Counts,
    /// About how many bytes the queued records take.
    pub queued_bytes: u64,
    /// The age of the oldest queued record; none where nothing is queued or the age is unknown.
    pub oldest_age_millis: Option<u64>,
    /// What its files take on disk.
    pub disk_bytes: u64,
    /// What they may take.
    pub disk_bytes_max: u64,
    /// What goes through it; none shortly after the queue was opened.
    pub rates: Option<Rates>,
    /// When it reaches a limit if nothing is sent; none while nothing leads to one.
    pub forecast: Option<Forecast>,
    /// What it wrote.
    pub wear: Wear,
}

/// The disk's health.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DiskHealth {
    /// What may still be written.
    pub free_bytes: u64,
    /// All of it.
    pub capacity_bytes: u64,
    /// How many years it lasts as flash at the present rate of writing, by the assumptions named
    /// in [`super::ENDURANCE_CYCLES`] and [`super::DEVICE_WRITE_AMPLIFICATION`]; none where
    /// nothing is written.
    pub flash_life_years: Option<f64>,
}

/// The health of every stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// Sorted by name.
    pub streams: Vec<StreamHealth>,
    /// The file system under the queue; none where it cannot be asked.
    pub disk: Option<DiskHealth>,
}

impl Health {
    /// Whether every stream can take in, hand out and settle records, or is merely full.
    pub fn is_healthy(&self) -> bool {
        let works = |condition| matches!(condition, &Condition::Healthy | &Condition::Full);
        self.streams.iter().all(|stream| works(&stream.condition))
    }
}

/// A stream's health but for its forecast, and what that is made from.
struct Examined {
    health: StreamHealth,
    now: Stamp,
    age_max: Duration,
    /// What is reserved on disk and not yet written.
    reserved_bytes: u64,
}

impl Examined {
    fn inflow(&self) -> f64 {
        self.health.rates.map_or(0.0, |rates| rates.accepted_bytes_per_second)
    }

    fn size_room_bytes(&self) -> u64 {
        let StreamHealth { disk_bytes, disk_bytes_max, .. } = self.health;
        disk_bytes_max.saturating_sub(disk_bytes.saturating_sub(self.reserved_bytes))
    }
}

/// Looks at every stream.
pub(super) fn examine(streams: &[Arc<Shared>]) -> Health {
    let mut examined: Vec<Examined> = streams.iter().map(|shared| examine_one(shared)).collect();
    let space = streams.first().and_then(|shared| shared.disk.space(&shared.dir).ok());
    let reserved: u64 = examined.iter().map(|stream| stream.reserved_bytes).sum();
    let disk_room_bytes = space.map(|space| space.free_bytes.saturating_add(reserved));
    let flows: Vec<_> = examined.iter().map(|one| (one.size_room_bytes(), one.inflow())).collect();
    let disk_full_in = disk_room_bytes.and_then(|room| disk_full_in(room, &flows));
    for one in &mut examined {
        one.health.forecast = forecast(&Situation {
            now: one.now,
            inflow: one.inflow(),
            is_full: one.health.condition == Condition::Full,
            size_room_bytes: one.size_room_bytes(),
            disk_room_bytes,
            // A stream into which nothing comes is not stopped by it.
            disk_full_in: disk_full_in.filter(|_| one.inflow() > 0.0),
            queued: one.health.totals.queued,
            oldest_age: one.health.oldest_age_millis.map(Duration::from_millis),
            age_max: one.age_max,
        });
    }
    let streams: Vec<_> = examined.into_iter().map(|one| one.health).collect();
    let disk = space.map(|space| disk_health(space, &streams));
    Health { streams, disk }
}

fn disk_health(space: Space, streams: &[StreamHealth]) -> DiskHealth {
    let Space { free_bytes, capacity_bytes } = space;
    let rates = streams.iter().filter_map(|stream| stream.rates);
    let written = rates.map(|rates| rates.written_bytes_per_second).sum();
    let flash_life_years = flash_life_years(capacity_bytes, written);
    DiskHealth { free_bytes, capacity_bytes, flash_life_years }
}

fn examine_one(shared: &Shared) -> Examined {
    let now = shared.clock.now();
    let oldest_age_millis = oldest(shared).and_then(|oldest| age_millis(&oldest, &now));
    let mut state = shared.state();
    let sample = state.sample(&now, &shared.meter);
    let condition = state.troubles.condition();
    state.trend.observe(sample, &condition);
    let health = StreamHealth {
        stream: shared.options.name.clone(),
        condition,
        condition_millis: state.trend.condition_millis(now.monotonic_millis),
        totals: state.accounts.total(),
        queued_bytes: sample.queued_bytes,
        oldest_age_millis,
        disk_bytes: state.disk_bytes(),
        disk_bytes_max: shared.options.bytes_max,
        rates: state.trend.rates(&sample),
        forecast: None,
        wear: shared.meter.wear(),
    };
    Examined {
        health,
        now,
        age_max: shared.options.age_max,
        reserved_bytes: state.reserved_bytes(),
    }
}

/// When the oldest queued record was taken in. It is read from disk, once for each record that
/// becomes the oldest.
fn oldest(shared: &Shared) -> Option<Stamp> {
    let sequence = {
        let state = shared.state();
        let first = state.settled.next_open(state.settled.floor());
        if first >= state.next {
            return None;
        }
        match state.oldest {
            Some((known, stamp)) if known == first => return Some(stamp),
            _ => first,
        }
    };
    let stamp = reader::stamp_of(shared, sequence)?;
    shared.state().oldest = Some((sequence, stamp));
    Some(stamp)
}
