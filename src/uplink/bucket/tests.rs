use proptest::prelude::*;

use super::*;

/// What passes a throttle when the sender asks as often as it may, up to `seconds`.
fn passed(mut throttle: Throttle, start: Instant, seconds: u64, bytes: u64) -> u64 {
    let (mut now, mut count) = (start, 0);
    while now < start + Duration::from_secs(seconds) {
        match throttle.admit(bytes, now) {
            Ok(()) => count += 1,
            Err(wait) => now += wait,
        }
    }
    count
}

#[test]
fn messages_pass_at_the_rate_and_no_faster() {
    let start = Instant::now();
    let count = passed(Throttle::new(Some(80), None, start), start, 60, 10);
    assert!((80 * 60..=80 * 60 + 20).contains(&count), "{count}");
}

#[test]
fn bytes_pass_at_the_rate_whatever_the_size_of_a_message() {
    for size in [1_u64, 100, 5_000, 131_072] {
        let start = Instant::now();
        let count = passed(Throttle::new(None, Some(400_000), start), start, 60, size);
        let bytes = count * size;
        assert!(
            (24_000_000 - size..=24_000_000 + 100_000 + size).contains(&bytes),
            "{bytes} bytes in messages of {size}"
        );
    }
}

#[test]
fn no_second_sees_more_than_five_quarters_of_the_rate() {
    let start = Instant::now();
    let idle = start + Duration::from_secs(100);
    let mut throttle = Throttle::new(Some(80), None, start);
    let (mut now, mut count) = (idle, 0);
    while now < idle + Duration::from_secs(1) {
        match throttle.admit(1, now) {
            Ok(()) => count += 1,
            Err(wait) => now += wait,
        }
    }
    assert!(count <= 100, "{count} messages in one second");
}

#[test]
fn a_throttle_without_rates_holds_nothing_back() {
    let mut throttle = Throttle::default();
    for _ in 0..1_000 {
        assert_eq!(throttle.admit(u64::MAX, Instant::now()), Ok(()));
    }
}

proptest! {
    #[test]
    fn over_any_time_no_more_passes_than_the_rate_the_bucket_and_one_message(
        rate in 1_u64..1_000_000,
        asks in proptest::collection::vec((0_u64..50_000_000, 1_u64..200_000), 1..300),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        let (mut now, mut taken, mut largest) = (start, 0, 0);
        for (nanos, cost) in asks {
            now += Duration::from_nanos(nanos);
            if bucket.wait(cost, now).is_zero() {
                bucket.take(cost);
                taken += cost;
                largest = largest.max(cost);
            }
            let elapsed = (now - start).as_secs_f64();
            let allowed = rate as f64 * (elapsed + BURST) + 1.0 + largest as f64;
            prop_assert!(taken as f64 <= allowed + 1e-3, "{taken} > {allowed}");
        }
    }

    #[test]
    fn whoever_waits_as_told_may_pass(rate in 1_u64..1_000_000, costs in proptest::collection::vec(1_u64..500_000, 1..50)) {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(rate, now);
        for cost in costs {
            now += bucket.wait(cost, now);
            prop_assert!(bucket.wait(cost, now).is_zero());
            bucket.take(cost);
        }
    }
}
