//! When a stream reaches a limit if what comes in goes on as it does and nothing is sent.
//!
//! Pure: the time and everything else is an argument.

use std::time::Duration;

use serde::Serialize;

use super::Stamp;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// Which limit is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitReason {
    /// The stream's `bytes_max`: its `on_full` applies from then on.
    Size,
    /// The disk is full: the `on_full` of every stream applies from then on.
    Disk,
    /// The oldest message reaches `age_max` and expires.
    Age,
}

impl LimitReason {
    /// Every name that a limit can have.
    pub const NAMES: [&str; 3] = ["size", "disk", "age"];

    /// The name, as JSON and the metrics write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Disk => "disk",
            Self::Age => "age",
        }
    }
}

/// When a limit is reached if nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// From now; 0 where it is reached already.
    pub hours_left: f64,
    /// Which limit.
    pub limit_reason: LimitReason,
    /// The moment, in milliseconds since boot.
    pub limit_at_monotonic_millis: u64,
    /// The moment, in milliseconds since 1970; none while the wall clock is not trusted.
    pub limit_at_wall_millis: Option<i64>,
}

/// What a forecast is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    pub(super) now: Stamp,
    /// What is taken in, in bytes per second.
    pub(super) inflow: f64,
    /// Whether something was turned away or dropped for want of room.
    pub(super) is_full: bool,
    /// What the stream may still take.
    pub(super) size_room_bytes: u64,
    /// What the disk can still take, where that is known.
    pub(super) disk_room_bytes: Option<u64>,
    /// In how many seconds the streams together fill the disk, if ever.
    pub(super) disk_full_in: Option<f64>,
    pub(super) queued: u64,
    /// Of the oldest queued record, where that is known.
    pub(super) oldest_age: Option<Duration>,
    pub(super) age_max: Duration,
}

/// When the first limit is reached; none while nothing leads to one.
pub(super) fn forecast(situation: &Situation) -> Option<Forecast> {
    let limits = [
        (size_in(situation), LimitReason::Size),
        (disk_in(situation), LimitReason::Disk),
        (age_in(situation), LimitReason::Age),
    ];
    let (seconds, limit_reason) = limits
        .into_iter()
        .filter_map(|(seconds, reason)| Some((seconds?, reason)))
        .min_by(|a, b| a.0.total_cmp(&b.0))?;
    let Stamp { monotonic_millis, wall_millis, wall_trusted, .. } = situation.now;
    let millis = (seconds * 1e3) as u64;
    let wall = wall_millis.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX));
    Some(Forecast {
        hours_left: seconds / SECONDS_PER_HOUR,
        limit_reason,
        limit_at_monotonic_millis: monotonic_millis.saturating_add(millis),
        limit_at_wall_millis: wall_trusted.then_some(wall),
    })
}

fn disk_is_shorter(situation: &Situation) -> bool {
    situation.disk_room_bytes.is_some_and(|disk| disk < situation.size_room_bytes)
}

fn size_in(situation: &Situation) -> Option<f64> {
    let is_full = situation.is_full && !disk_is_shorter(situation);
    if is_full || situation.size_room_bytes == 0 {
        return Some(0.0);
    }
    (situation.inflow > 0.0).then(|| situation.size_room_bytes as f64 / situation.inflow)
}

fn disk_in(situation: &Situation) -> Option<f64> {
    let is_full = situation.is_full && disk_is_shorter(situation);
    if is_full || situation.disk_room_bytes == Some(0) {
        return Some(0.0);
    }
    situation.disk_full_in
}

/// What is queued gets older whether or not anything follows.
fn age_in(situation: &Situation) -> Option<f64> {
    let age = match (situation.queued, situation.oldest_age) {
        (0, _) if situation.inflow > 0.0 => Duration::ZERO,
        (0, _) => return None,
        (_, age) => age?,
    };
    Some(situation.age_max.saturating_sub(age).as_secs_f64())
}

/// In how many seconds streams fill a disk with so much room, each given as what it may still
/// take and how fast it does; none where they reach their own limits before.
pub(super) fn disk_full_in(disk_room_bytes: u64, streams: &[(u64, f64)]) -> Option<f64> {
    let mut streams: Vec<(f64, f64)> = streams
        .iter()
        .filter(|(_, rate)| *rate > 0.0)
        .map(|(room, rate)| (*room as f64 / rate, *rate))
        .collect();
    streams.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut together: f64 = streams.iter().map(|(_, rate)| rate).sum();
    let (mut left, mut now) = (disk_room_bytes as f64, 0.0);
    for (until, rate) in streams {
        let taken = (until - now) * together;
        if taken >= left {
            return Some(now + left / together);
        }
        left -= taken;
        now = until;
        together -= rate;
    }
    None
}

#[cfg(test)]
mod tests;
