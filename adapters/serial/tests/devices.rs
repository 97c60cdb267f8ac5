//! The configurations in `devices/` against the schema, and each against what its device sends.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use holdfast_adapter_api::{Adapter, AdapterIo, Clock, Quality, Timestamp, Value};
use holdfast_serial::{Config, Serial};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};
use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
struct File {
    serial: Vec<Config>,
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp { unix_millis: 0, trusted: false }
    }
}

fn device(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("devices").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    toml::from_str::<File>(&text).unwrap().serial.remove(0)
}

/// The values of the first reading that a device of this configuration makes by saying `said`,
/// after it was asked `asked`.
async fn values(mut config: Config, asked: &str, said: &[u8]) -> BTreeMap<String, Option<Value>> {
    let (mut far, near) = SerialStream::pair().unwrap();
    config.port = near.name().unwrap();
    // What is gathered for an interval goes out at its end.
    config.interval = config.interval.map(|_| Duration::from_millis(500));
    let mut serial = Serial::new(&config).unwrap();
    let (readings_in, mut readings) = mpsc::channel(8);
    let (_commands_in, commands) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let clock = Arc::new(FixedClock);
    let mut io = AdapterIo { readings: readings_in, commands, clock, stop: stop.clone() };
    let talk = async {
        let mut heard = vec![0; asked.len()];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, asked.as_bytes());
        loop {
            // Joined in the middle, a line is whole from its second frame on.
            far.write_all(said).await.unwrap();
            if let Ok(reading) = timeout(Duration::from_millis(200), readings.recv()).await {
                stop.cancel();
                return reading.unwrap();
            }
        }
    };
    let (ended, reading) =
        timeout(PATIENCE, async { tokio::join!(serial.run(&mut io), talk) }).await.unwrap();
    ended.unwrap();
    assert!(reading.points.iter().all(|p| (p.quality == Quality::Good) == p.value.is_some()));
    reading.points.into_iter().map(|point| (point.name, point.value)).collect()
}

fn expected<const N: usize>(values: [(&str, Option<Value>); N]) -> BTreeMap<String, Option<Value>> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn float(value: f64) -> Option<Value> {
    Some(Value::Float(value))
}

#[test]
fn every_device_file_is_free_of_problems() {
    let devices = Path::new(env!("CARGO_MANIFEST_DIR")).join("devices");
    let mut files = 0;
    for entry in std::fs::read_dir(devices).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_eq!(device(&name).problems(), [], "{name}");
        files += 1;
    }
    assert_eq!(files, 5);
}

#[tokio::test]
async fn the_anemometer_is_read() {
    let said = b"$WIMWV,084.0,R,10.4,N,A*1A\r\n";
    let due = expected([("wind_direction", float(84.0)), ("wind_speed", float(10.4))]);
    assert_eq!(values(device("anemometer.toml"), "", said).await, due);
}

#[tokio::test]
async fn the_gps_receiver_is_read_into_one_message_per_interval() {
    let said = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n\
        $GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n";
    let due = expected([
        ("latitude", float(48.1173)),
        ("longitude", float(11.516_666_666_67)),
        ("speed", float(22.4)),
        ("altitude", float(545.4)),
        ("satellites", Some(Value::Int(8))),
    ]);
    assert_eq!(values(device("gps.toml"), "", said).await, due);
}

#[tokio::test]
async fn the_temperature_sensor_is_asked_and_read() {
    let said = b"TC:-3.5,HC:40.2,BR:9600,HZ:1\r\n";
    let due = expected([("temperature", float(-3.5)), ("humidity", float(40.2))]);
    assert_eq!(values(device("xy-md02.toml"), "READ", said).await, due);
}

#[tokio::test]
async fn the_particle_sensor_is_read() {
    let mut said = vec![0; 30];
    said[..4].copy_from_slice(b"BM\0\x1C");
    said[11] = 7;
    said[12..14].copy_from_slice(&[1, 2]);
    said[15] = 9;
    let sum: u16 = said.iter().map(|&byte| u16::from(byte)).sum();
    said.extend(sum.to_be_bytes());
    let number = |number| Some(Value::Int(number));
    let due = expected([("pm1", number(7)), ("pm2_5", number(258)), ("pm10", number(9))]);
    assert_eq!(values(device("pms5003.toml"), "", &said).await, due);
}

#[tokio::test]
async fn the_logger_is_set_up_and_read() {
    let said = b"\"2026-11-23 12:00:00\",17,21.47,\"NAN\"\r\n";
    let due = expected([
        ("record", Some(Value::Int(17))),
        ("temperature", float(21.47)),
        ("level", None),
    ]);
    assert_eq!(values(device("logger.toml"), "ECHO OFF\r\n", said).await, due);
}
