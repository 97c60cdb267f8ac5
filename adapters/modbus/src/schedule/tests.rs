use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_poll_is_due_at_once() {
    let now = Instant::now();
    assert_eq!(Schedule::start(now, SECOND, 3, 4).due(), now);
}

#[test]
fn a_late_poll_does_not_shift_the_grid() {
    let start = Instant::now();
    let mut schedule = Schedule::start(start, SECOND, 0, 1);
    assert_eq!(schedule.advance(start), 0);
    assert_eq!(schedule.due(), start + SECOND);
    assert_eq!(schedule.advance(start + Duration::from_millis(1_900)), 0);
    assert_eq!(schedule.due(), start + 2 * SECOND);
}

#[test]
fn missed_slots_are_counted_and_not_made_up_for() {
    let start = Instant::now();
    let mut schedule = Schedule::start(start, SECOND, 0, 1);
    schedule.advance(start);
    assert_eq!(schedule.advance(start + Duration::from_millis(4_500)), 3);
    assert_eq!(schedule.due(), start + 5 * SECOND);
}

#[test]
fn a_thousand_polls_later_the_grid_is_still_exact() {
    let start = Instant::now();
    let mut schedule = Schedule::start(start, SECOND, 1, 4);
    schedule.advance(start);
    for poll in 0..1_000 {
        let due = start + SECOND / 4 + poll * SECOND;
        assert_eq!(schedule.due(), due);
        assert_eq!(schedule.advance(due + Duration::from_millis(u64::from(poll) % 700)), 0);
    }
}

#[test]
fn devices_of_one_interval_are_staggered_over_it() {
    let start = Instant::now();
    let due = |index| {
        let mut schedule = Schedule::start(start, SECOND, index, 4);
        schedule.advance(start);
        schedule.due() - start
    };
    let millis: Vec<u128> = (0..4).map(|index| due(index).as_millis()).collect();
    assert_eq!(millis, [1_000, 250, 500, 750]);
}
