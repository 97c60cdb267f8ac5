use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);
/// Wall time when the tests begin.
const NOON: i64 = 1_700_000_000_000;

fn at(boot: u64, monotonic_millis: u64, wall_millis: i64, wall_trusted: bool) -> Moment {
    Moment { boot, monotonic_millis, wall_millis, wall_trusted }
}

fn validity(said: Said) -> Validity {
    Validity::new(said, MINUTE)
}

fn in_time(millis: u64) -> Standing {
    Standing::InTime(Duration::from_millis(millis))
}

#[test]
fn a_command_that_says_nothing_expires_after_the_configured_time() {
    let validity = validity(Said::default());
    let received = at(1, 1_000, 0, false);
    assert_eq!(validity.standing(received, at(1, 1_000, 0, false)), in_time(60_000));
    assert_eq!(validity.standing(received, at(1, 60_999, 0, false)), in_time(1));
    assert_eq!(validity.standing(received, at(1, 61_000, 0, false)), Standing::Expired);
}

#[test]
fn the_wall_clock_may_jump_without_changing_a_lifetime() {
    let validity = validity(Said::default());
    let received = at(1, 0, 0, false);
    assert_eq!(validity.standing(received, at(1, 10_000, NOON, true)), in_time(50_000));
}

#[test]
fn the_earliest_of_all_expiries_counts() {
    let said = Said {
        issued_at_millis: Some(NOON - 25_000),
        expires_at_millis: Some(NOON + 20_000),
        expires_in_millis: Some(30_000),
    };
    let received = at(1, 0, NOON, true);
    assert_eq!(validity(said).standing(received, received), in_time(5_000));
    let without_issue = Said { issued_at_millis: None, ..said };
    assert_eq!(validity(without_issue).standing(received, received), in_time(20_000));
    let only_lifetime = Said { expires_at_millis: None, ..without_issue };
    assert_eq!(validity(only_lifetime).standing(received, received), in_time(30_000));
}

#[test]
fn a_command_that_waited_at_the_cloud_is_stale_by_when_it_was_issued() {
    let issued = Said { issued_at_millis: Some(NOON - 61_000), ..Said::default() };
    let received = at(1, 0, NOON, true);
    assert_eq!(validity(issued).standing(received, received), Standing::Expired);
}

#[test]
fn without_a_right_clock_a_wall_time_expiry_is_held_and_then_given_up() {
    let validity = validity(Said { expires_at_millis: Some(NOON), ..Said::default() });
    let received = at(1, 0, 0, false);
    assert_eq!(validity.standing(received, at(1, 59_999, 0, false)), Standing::ClockUntrusted);
    assert_eq!(validity.standing(received, at(1, 60_000, 0, false)), Standing::ClockNeverTrusted);
    assert_eq!(validity.standing(received, at(1, 9, NOON - 5, true)), in_time(5));
    assert_eq!(validity.standing(received, at(1, 9, NOON, true)), Standing::Expired);
}

#[test]
fn a_clock_that_lost_its_trust_is_counted_on_from_when_it_had_it() {
    let validity = validity(Said { expires_at_millis: Some(NOON + 90_000), ..Said::default() });
    let received = at(1, 0, NOON, true);
    assert_eq!(validity.standing(received, at(1, 80_000, 0, false)), in_time(10_000));
    assert_eq!(validity.standing(received, at(1, 90_000, 0, false)), Standing::Expired);
}

#[test]
fn across_a_reboot_a_command_lives_on_only_if_the_clock_was_right_both_times() {
    let validity = validity(Said { expires_in_millis: Some(600_000), ..Said::default() });
    let received = at(1, 500_000, NOON, true);
    let later = NOON + 100_000;
    assert_eq!(validity.standing(received, at(2, 3, later, true)), in_time(500_000));
    assert_eq!(validity.standing(received, at(2, 3, later, false)), Standing::Expired);
    let untrusted = Moment { wall_trusted: false, ..received };
    assert_eq!(validity.standing(untrusted, at(2, 3, later, true)), Standing::Expired);
    assert_eq!(validity.standing(received, at(2, 3, NOON - 1, true)), Standing::Expired);
}

#[test]
fn a_command_from_the_future_of_the_same_boot_is_not_carried_out() {
    let validity = validity(Said::default());
    assert_eq!(validity.standing(at(1, 10, 0, false), at(1, 9, 0, false)), Standing::Expired);
}

#[test]
fn numbers_at_the_edge_of_what_they_can_hold_do_no_harm() {
    let extreme = [i64::MIN, -1, 0, i64::MAX];
    for issued in extreme {
        for expires in extreme {
            let said = Said {
                issued_at_millis: Some(issued),
                expires_at_millis: Some(expires),
                expires_in_millis: Some(u64::MAX),
            };
            let validity = Validity::new(said, Duration::MAX);
            for wall in extreme {
                let standing = validity.standing(at(1, 0, wall, true), at(2, u64::MAX, wall, true));
                assert!(wall < expires || standing == Standing::Expired, "{said:?} {wall}");
            }
        }
    }
}

proptest! {
    /// The gateway does not know the true time; the test does.
    #[test]
    fn what_is_in_time_is_truly_in_time(
        lifetime in proptest::option::of(0..200_000u64),
        until in proptest::option::of(-100_000..200_000i64),
        issued in proptest::option::of(-100_000..0i64),
        received_trusted: bool,
        now_trusted: bool,
        wrong_by in -1_000_000_000..1_000_000_000i64,
        age in 0..200_000u64,
        rebooted: bool,
    ) {
        let said = Said {
            issued_at_millis: issued.map(|issued| NOON + issued),
            expires_at_millis: until.map(|until| NOON + until),
            expires_in_millis: lifetime,
        };
        let shown = |truth: i64, trusted: bool| if trusted { truth } else { truth + wrong_by };
        let true_now = NOON + age as i64;
        let received = at(1, 500, shown(NOON, received_trusted), received_trusted);
        let monotonic = if rebooted { 7 } else { 500 + age };
        let now = at(1 + u64::from(rebooted), monotonic, shown(true_now, now_trusted), now_trusted);

        let lifetime = lifetime.or(until.is_none().then_some(60_000));
        let true_end = [
            lifetime.map(|lifetime| NOON + lifetime as i64),
            said.expires_at_millis,
            said.issued_at_millis.zip(lifetime).map(|(issued, lifetime)| issued + lifetime as i64),
        ].into_iter().flatten().min().expect("there is always an end");

        match validity(said).standing(received, now) {
            Standing::InTime(left) => {
                prop_assert!(true_now < true_end);
                prop_assert_eq!(left.as_millis() as i64, true_end - true_now);
            }
            Standing::Expired => {
                let could_not_tell = rebooted && !(received_trusted && now_trusted);
                prop_assert!(true_now >= true_end || could_not_tell);
            }
            Standing::ClockUntrusted | Standing::ClockNeverTrusted => {
                prop_assert!(!now_trusted && !received_trusted);
            }
        }
    }
}
