//! The master on a serial line: real ptys, tokio-modbus as the slaves, and someone in the middle.

use std::{
    fs::{create_dir_all, remove_dir_all, remove_file},
    os::unix::fs::symlink,
    path::PathBuf,
    time::Duration,
};

use super::support::{Bench, pty};
use holdfast_adapter_api::{Outcome, Quality, Reading, Value};
use holdfast_modbus::simulator::weather_station;

#[tokio::test]
async fn a_weather_station_is_read_with_scale_offset_and_sentinel() {
    let (far, _near, path) = pty();
    let _station = weather_station(far, 0x90);
    let mut bench = Bench::start(&format!(
        r#"
        name = "bus"
        port = "{path}"
        [[device]]
        name = "wx-1"
        unit = 0x90
        poll_interval = "100ms"
        topic = "sensors/{{adapter}}/{{device}}"
        [[device.point]]
        name = "temperature"
        address = 0x167
        scale = 0.1
        offset = -40
        unit = "°C"
        invalid = [0xFFFF]
        [[device.point]]
        name = "pressure"
        address = 0x16D
        scale = 0.1
        unit = "hPa"
        [[device.point]]
        name = "none"
        address = 0x16C
        invalid = [0xFFFF]
        [[device.point]]
        name = "interval"
        address = 0x1F0
        writable = true
        min = 1
        max = 60
        "#
    ));
    let reading = bench.reading_of("wx-1").await;
    assert_eq!(reading.topic, "sensors/bus/wx-1");
    assert_eq!(reading.sequence, 0);
    let [temperature, pressure, none, interval] = &reading.points[..] else { panic!() };
    let Some(Value::Float(celsius)) = temperature.value else { panic!("{temperature:?}") };
    assert!((11.0..=25.0).contains(&celsius), "{celsius}");
    let Some(Value::Float(hectopascal)) = pressure.value else { panic!("{pressure:?}") };
    assert!((1_000.0..=1_020.0).contains(&hectopascal), "{hectopascal}");
    assert_eq!((none.value.clone(), none.quality), (None, Quality::InvalidValue));
    assert_eq!(interval.value, Some(Value::Int(10)));
    let outcome = bench.write("wx-1", "interval", Value::Int(30)).await;
    assert_eq!(outcome, Outcome::Done { readback: Some(Value::Int(30)) });
    bench.stop().await;
}

#[tokio::test]
async fn a_port_that_is_unplugged_and_comes_back_is_used_again_without_a_hot_loop() {
    let place = tempdir();
    let link = place.join("bus");
    let config = format!(
        r#"
        name = "bus"
        port = "{}"
        [[device]]
        name = "wx-1"
        unit = 0x90
        poll_interval = "20ms"
        [[device.point]]
        name = "interval"
        address = 0x1F0
        writable = true
        "#,
        link.display()
    );
    let plug = || {
        let (far, near, path) = pty();
        symlink(path, &link).unwrap();
        (weather_station(far, 0x90), near)
    };
    let good = |reading: &Reading| reading.points[0].quality == Quality::Good;
    let offline = |reading: &Reading| reading.points[0].quality == Quality::Offline;
    let mut bench = Bench::start(&config);
    assert!(offline(&bench.reading().await), "the port is not there yet");
    let plugged = plug();
    bench.reading_where(good).await;
    drop(plugged);
    remove_file(&link).unwrap();
    bench.reading_where(offline).await;
    let failures = bench.count("open_failures", None);
    let quiet = bench.readings_for(Duration::from_millis(700)).await;
    assert!(quiet.len() <= 1, "{quiet:?}");
    assert!(bench.count("open_failures", None) - failures <= 2);
    let unreachable = bench.write("wx-1", "interval", Value::Int(5)).await;
    assert!(matches!(unreachable, Outcome::Failed { .. }), "{unreachable:?}");
    let _plugged = plug();
    bench.reading_where(good).await;
    let there = bench.write("wx-1", "interval", Value::Int(5)).await;
    assert_eq!(there, Outcome::Done { readback: Some(Value::Int(5)) });
    bench.stop().await;
    remove_dir_all(place).unwrap();
}

/// A directory of this test run's own.
fn tempdir() -> PathBuf {
    let place = std::env::temp_dir().join(format!("holdfast-modbus-{}", std::process::id()));
    create_dir_all(&place).unwrap();
    place
}
