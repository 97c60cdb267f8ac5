//! Whatever happens to answers on a serial line, no wrong value is reported as right.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::support::{Bench, Fault, Faults, Wire, device, words};
use holdfast_adapter_api::{Outcome, Quality, Value};
use holdfast_modbus::simulator::{Bank, Simulation, Unit, serve_rtu};

const ADDRESSES: u16 = 200;

/// What a register of a unit holds: no two on the line are the same.
fn truth(unit: u8, address: u16) -> u16 {
    u16::from(unit) * 1_000 + address
}

/// A line with faults and these units on it, each with registers 0 to 199.
fn line(units: &[u8], faults: &Faults) -> (Wire, Simulation) {
    let (wire, server) = Wire::new(faults.clone());
    let units = units.iter().map(|unit| {
        let mut bank = Bank::new();
        let registers: Vec<u16> = (0..ADDRESSES).map(|address| truth(*unit, address)).collect();
        bank.set_writable(0, &registers);
        (*unit, Unit::constant(bank))
    });
    let simulation = serve_rtu(server, units);
    (wire, simulation)
}

fn bus(wire: &Wire, keys: &str, devices: &[String]) -> String {
    let (path, devices) = (&wire.path, devices.concat());
    format!("name = \"bus\"\nport = \"{path}\"\nbaud = 115200\ngap_max = 0\n{keys}\n{devices}")
}

/// Right and wrong among the good values of readings, and how many points were not good.
#[derive(Debug, Default, PartialEq)]
struct Score {
    right: usize,
    wrong: usize,
    without: usize,
}

async fn score(bench: &mut Bench, units: &BTreeMap<&str, u8>, reads: usize) -> Score {
    let mut score = Score::default();
    while score.right + score.wrong + score.without < reads {
        let reading = bench.reading().await;
        let unit = units[reading.device.as_str()];
        let (good, bad) = words(&reading);
        score.without += bad.len();
        for (address, value) in good {
            if value == i64::from(truth(unit, address.parse().unwrap())) {
                score.right += 1;
            } else {
                score.wrong += 1;
            }
        }
    }
    score
}

/// A generator that is the same in every run.
fn dice(mut state: u64) -> impl FnMut(u64) -> u64 + Send {
    move |sides| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    }
}

#[tokio::test]
async fn late_answers_are_never_taken_for_those_of_later_requests() {
    let late = Duration::from_millis(250);
    let faults = Faults::by(move |unit, _| if unit == 2 { Fault::Late(late) } else { Fault::None });
    let (wire, _slaves) = line(&[1, 2], &faults);
    let keys = "response_timeout = \"200ms\"\noffline_after = 1000";
    let devices = [device("one", 1, "10ms", &[0, 100]), device("two", 2, "10ms", &[0, 100])];
    let mut bench = Bench::start(&bus(&wire, keys, &devices));
    let score = score(&mut bench, &BTreeMap::from([("one", 1), ("two", 2)]), 60).await;
    assert_eq!(score.wrong, 0, "{score:?}");
    assert!(score.right >= 20, "{score:?}");
    assert!(score.without >= 20, "{score:?}");
}

#[tokio::test]
async fn answers_that_come_at_any_time_at_all_never_yield_a_wrong_value() {
    let mut dice = dice(7);
    let faults = Faults::by(move |_, _| match dice(4) {
        0 => Fault::Late(Duration::from_millis(dice(200))),
        _ => Fault::None,
    });
    let (wire, _slaves) = line(&[1, 2, 3], &faults);
    let keys = "response_timeout = \"30ms\"\nlate_grace = \"10ms\"\noffline_after = 1000";
    let devices = [
        device("one", 1, "10ms", &[0, 50, 100]),
        device("two", 2, "10ms", &[0, 50, 100]),
        device("three", 3, "10ms", &[0, 1, 2, 3, 50]),
        // A second device of the configuration on the same unit, as for another interval.
        device("one-again", 1, "15ms", &[150, 199]),
    ];
    let mut bench = Bench::start(&bus(&wire, keys, &devices));
    let units = BTreeMap::from([("one", 1), ("two", 2), ("three", 3), ("one-again", 1)]);
    let score = score(&mut bench, &units, 600).await;
    assert_eq!(score.wrong, 0, "{score:?}");
    assert!(score.right > 100, "{score:?}");
    assert!(bench.count("mismatches", None) + bench.count("late_bytes", None) > 0);
}

#[tokio::test]
async fn no_fault_on_the_line_yields_a_wrong_value_and_the_line_recovers_from_all() {
    let mut dice = dice(42);
    let faults = Faults::by(move |_, _| match dice(12) {
        0 => Fault::Flipped(dice(64) as isize),
        1 => Fault::Dropped,
        2 => Fault::Short(dice(6) as usize),
        3 => Fault::Prefixed(vec![0x00, 0x03, 0xF0]),
        4 => Fault::FromUnit(9),
        5 => Fault::Dribbled,
        6 => Fault::Late(Duration::from_millis(dice(120))),
        7 => Fault::Prefixed((0..dice(40)).map(|_| dice(256) as u8).collect()),
        _ => Fault::None,
    });
    let (wire, _slaves) = line(&[1, 2], &faults);
    let keys = "response_timeout = \"40ms\"\nlate_grace = \"10ms\"\noffline_after = 1000";
    let devices =
        [device("one", 1, "10ms", &[0, 50, 100]), device("two", 2, "10ms", &[0, 1, 2, 3, 4, 90])];
    let mut bench = Bench::start(&bus(&wire, keys, &devices));
    let units = BTreeMap::from([("one", 1), ("two", 2)]);
    let bad = score(&mut bench, &units, 600).await;
    assert_eq!(bad.wrong, 0, "{bad:?}");
    assert!(bad.right > 200, "{bad:?}");
    assert!(bench.count("crc_errors", None) > 0);
    assert!(bench.count("timeouts", None) > 0);
    faults.set(|_, _| Fault::None);
    bench.reading_where(|reading| words(reading).1.is_empty()).await;
    let good = score(&mut bench, &units, 90).await;
    assert!(good.without <= 9, "the line must be well again: {good:?}");
}

#[tokio::test]
async fn an_answer_is_found_behind_noise_that_looks_like_the_beginning_of_one() {
    let faults = Faults::by(|_, _| Fault::Prefixed(vec![0x00, 0x03, 0xF0]));
    let (wire, _slaves) = line(&[1], &faults);
    let mut bench = Bench::start(&bus(&wire, "", &[device("one", 1, "20ms", &[0, 1, 2])]));
    for _ in 0..5 {
        let (good, bad) = words(&bench.reading().await);
        assert_eq!((good["0"], bad.len()), (i64::from(truth(1, 0)), 0));
    }
    assert_eq!(bench.count("stale_bytes", Some("one")), 15);
}

#[tokio::test]
async fn a_flipped_bit_is_crc_and_a_silent_device_is_timeout() {
    let faults = Faults::by(|_, _| Fault::Flipped(3));
    let (wire, _slaves) = line(&[1], &faults);
    let keys = "response_timeout = \"60ms\"\nretries = 0\noffline_after = 1000";
    let mut bench = Bench::start(&bus(&wire, keys, &[device("one", 1, "20ms", &[0])]));
    assert_eq!(words(&bench.reading().await).1, [Quality::Crc]);
    faults.set(|_, _| Fault::Dropped);
    bench.reading_where(|reading| reading.points[0].quality == Quality::Timeout).await;
    faults.set(|_, _| Fault::None);
    bench.reading_where(|reading| reading.points[0].quality == Quality::Good).await;
}

#[tokio::test]
async fn one_lost_answer_of_a_healthy_device_is_made_up_for_by_a_retry() {
    let faults = Faults::none();
    let (wire, _slaves) = line(&[1], &faults);
    let keys = "response_timeout = \"40ms\"\nlate_grace = \"10ms\"";
    let mut bench = Bench::start(&bus(&wire, keys, &[device("one", 1, "20ms", &[0])]));
    bench.reading().await;
    let mut lost = 0;
    faults.set(move |_, _| {
        lost += 1;
        if lost == 1 { Fault::Dropped } else { Fault::None }
    });
    for _ in 0..10 {
        assert_eq!(words(&bench.reading().await).1, []);
    }
    assert_eq!(bench.count("timeouts", Some("one")), 1);
    assert_eq!(bench.count("fences", Some("one")), 1);
}

#[tokio::test]
async fn an_echoing_line_is_read_right_and_no_write_succeeds_without_a_device() {
    for configured in [true, false] {
        let (wire, slaves) = line(&[1], &Faults::none());
        wire.set_echo(true);
        let keys =
            format!("echo = {configured}\nresponse_timeout = \"40ms\"\nlate_grace = \"10ms\"");
        let devices = [device("one", 1, "30ms", &[0, 1, 2]), device("gone", 2, "1h", &[5])];
        let mut bench = Bench::start(&bus(&wire, &keys, &devices));
        // Not after the first read: were the echo not configured, nothing would tell it yet.
        let gone = bench.write("gone", "5", Value::Int(7)).await;
        assert!(matches!(gone, Outcome::Failed { .. }), "{gone:?}");
        for _ in 0..5 {
            let (good, bad) = words(&bench.reading_of("one").await);
            assert_eq!((good["2"], bad.len()), (i64::from(truth(1, 2)), 0));
        }
        let there = bench.write("one", "1", Value::Int(77)).await;
        assert_eq!(there, Outcome::Done { readback: Some(Value::Int(77)) });
        assert_eq!(slaves.holding(1, 1), Some(77));
        assert!(bench.count("echoes", None) > 5);
        bench.stop().await;
    }
}

#[tokio::test]
async fn one_dead_device_of_ten_slows_the_others_by_less_than_a_tenth() {
    let faults = Faults::none();
    let (wire, _slaves) = line(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &faults);
    let keys = "response_timeout = \"200ms\"\nlate_grace = \"60ms\"\nprobe_interval = \"3s\"\n\
                offline_after = 1";
    let devices: Vec<String> =
        (1..=10).map(|unit| device(&format!("d{unit}"), unit, "300ms", &[0, 1])).collect();
    let mut bench = Bench::start(&bus(&wire, keys, &devices));
    bench.reading_of("d10").await;
    let offline = |r: &holdfast_adapter_api::Reading| {
        r.device.as_str() == "d10" && r.points[0].quality == Quality::Offline
    };
    let readings = bench.readings_for(Duration::from_secs(6)).await;
    for unit in 1..=9 {
        let name = format!("d{unit}");
        let polls = readings.iter().filter(|(_, reading)| reading.device.as_str() == name).count();
        assert!(polls >= 18, "{name}: {polls} polls of 20");
    }
    assert!(readings.iter().any(|(_, reading)| offline(reading)), "it is still probed");
}

#[tokio::test]
async fn a_device_that_comes_back_is_read_again_at_its_interval() {
    let faults = Faults::by(|_, _| Fault::Dropped);
    let (wire, _slaves) = line(&[1], &faults);
    let keys = "response_timeout = \"30ms\"\nlate_grace = \"10ms\"\nprobe_interval = \"100ms\"";
    let mut bench = Bench::start(&bus(&wire, keys, &[device("one", 1, "30ms", &[0])]));
    bench.reading_where(|reading| reading.points[0].quality == Quality::Offline).await;
    faults.set(|_, _| Fault::None);
    bench.reading_where(|reading| reading.points[0].quality == Quality::Good).await;
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(words(&bench.reading().await).1, []);
    }
    assert!(start.elapsed() < Duration::from_millis(600));
}
