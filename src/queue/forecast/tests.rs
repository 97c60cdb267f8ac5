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
        ("room for less than a segment", Situation { is_full: true, ..slow }, Some((0.0, Size))),
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
    let situation =
        Situation { inflow: 1e-300, size_room_bytes: u64::MAX, age_max: Duration::MAX, ..quiet() };
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
