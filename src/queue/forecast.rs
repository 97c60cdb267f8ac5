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
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;
    const DAY: Duration = Duration::from_hours(24);
    const NOON_MILLIS: i64 = 1_795_000_000_000;

    fn quiet() -> Situation {
        Situation {
            now: Stamp {
                boot: 1,
                monotonic_millis: 5_000,
                wall_millis: NOON_MILLIS,
                wall_trusted: true,
            },
            inflow: 0.0,
            is_full: false,
            size_room_bytes: GIB,
            disk_room_bytes: Some(100 * GIB),
            disk_full_in: None,
            queued: 0,
            oldest_age: None,
            age_max: 30 * DAY,
        }
    }

    fn limit(situation: &Situation) -> Option<(f64, LimitReason)> {
        forecast(situation).map(|forecast| (forecast.hours_left, forecast.limit_reason))
    }

    #[test]
    fn the_first_of_three_limits_is_forecast() {
        use LimitReason::{Age, Disk, Size};
        let busy = Situation { inflow: GIB as f64 / 7200.0, ..quiet() };
        let slow = Situation { inflow: 1.0, ..quiet() };
        let old = Some(29 * DAY);
        let cases = [
            ("nothing comes in and nothing waits", quiet(), None),
            ("1 GiB at 1 GiB in two hours", busy, Some((2.0, Size))),
            (
                "the disk is full before the stream",
                Situation { disk_full_in: Some(1800.0), ..busy },
                Some((0.5, Disk)),
            ),
            ("at 1 B/s the first message expires first", slow, Some((720.0, Age))),
            (
                "nothing comes in, and what waits is 29 of 30 days old",
                Situation { queued: 1, oldest_age: old, ..quiet() },
                Some((24.0, Age)),
            ),
            (
                "what waits has been too old for a while",
                Situation { queued: 1, oldest_age: Some(31 * DAY), ..quiet() },
                Some((0.0, Age)),
            ),
            (
                "nobody knows how old what waits is",
                Situation { queued: 1, oldest_age: None, ..quiet() },
                None,
            ),
            ("no room", Situation { size_room_bytes: 0, ..quiet() }, Some((0.0, Size))),
            (
                "room for less than a segment",
                Situation { is_full: true, ..slow },
                Some((0.0, Size)),
            ),
            (
                "no room on the disk",
                Situation { disk_room_bytes: Some(0), ..quiet() },
                Some((0.0, Disk)),
            ),
            (
                "the disk's last bytes are too few for a segment",
                Situation { is_full: true, disk_room_bytes: Some(100), ..slow },
                Some((0.0, Disk)),
            ),
            (
                "nothing is known of the disk",
                Situation { disk_room_bytes: None, ..busy },
                Some((2.0, Size)),
            ),
        ];
        for (name, situation, expected) in cases {
            assert_eq!(limit(&situation), expected, "{name}");
        }
    }

    #[test]
    fn the_moment_is_given_by_both_clocks_but_by_the_wall_only_if_it_is_trusted() {
        let mut situation = Situation { inflow: GIB as f64 / 60.0, ..quiet() };
        let found = forecast(&situation).unwrap();
        assert_eq!(found.limit_at_monotonic_millis, 65_000);
        assert_eq!(found.limit_at_wall_millis, Some(NOON_MILLIS + 60_000));
        situation.now.wall_trusted = false;
        let found = forecast(&situation).unwrap();
        assert_eq!(found.limit_at_monotonic_millis, 65_000);
        assert_eq!(found.limit_at_wall_millis, None);
    }

    #[test]
    fn a_limit_beyond_all_time_is_no_overflow() {
        let situation = Situation {
            inflow: 1e-300,
            size_room_bytes: u64::MAX,
            age_max: Duration::MAX,
            ..quiet()
        };
        let found = forecast(&situation).unwrap();
        assert_eq!(found.limit_at_wall_millis, Some(i64::MAX));
        assert_eq!(found.limit_at_monotonic_millis, u64::MAX);
    }

    #[test]
    fn streams_fill_a_disk_together_each_no_further_than_its_own_limit() {
        let check = |name: &str, room: u64, streams: &[(u64, f64)], expected: Option<f64>| {
            assert_eq!(disk_full_in(room, streams), expected, "{name}");
        };
        check("one", 100, &[(1000, 10.0)], Some(10.0));
        check("two at once", 100, &[(1000, 10.0), (1000, 40.0)], Some(2.0));
        check("one stops at its limit", 100, &[(20, 10.0), (1000, 5.0)], Some(16.0));
        check("both stop before", 100, &[(20, 10.0), (70, 5.0)], None);
        check("one is full already", 100, &[(0, 10.0), (1000, 5.0)], Some(20.0));
        check("nothing comes in", 100, &[(1000, 0.0)], None);
        check("no room", 0, &[(1000, 10.0)], Some(0.0));
    }
}
