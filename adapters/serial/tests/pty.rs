//! The adapter on pseudo terminals: opening, talking, unplugging.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{
    Adapter, AdapterError, AdapterIo, Clock, Command, DeviceName, Outcome, PendingCommand, Quality,
    Reading, Timestamp, Value,
};
use holdfast_serial::{Config, Serial};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

/// No step of a test takes longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp { unix_millis: 1_700_000_000_123, trusted: true }
    }
}

/// A socket into which devices are plugged: a symbolic link to the terminal of the day.
struct Socket {
    dir: tempfile::TempDir,
}

impl Socket {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("port")
    }

    fn plug(&self) -> Device {
        let (device, port) = SerialStream::pair().unwrap();
        let terminal = port.name().unwrap();
        std::os::unix::fs::symlink(Path::new(&terminal), self.path()).unwrap();
        Device { stream: device, _port: port }
    }

    fn unplug(&self, device: Device) {
        std::fs::remove_file(self.path()).unwrap();
        drop(device);
    }
}

/// The device's end, and a handle that keeps the terminal alive while nobody has it open.
struct Device {
    stream: SerialStream,
    _port: SerialStream,
}

impl Device {
    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn expect(&mut self, text: &str) {
        let mut heard = vec![0; text.len()];
        timeout(PATIENCE, self.stream.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), text);
    }
}

/// A running adapter with the gateway's ends of its channels.
struct Running {
    readings: mpsc::Receiver<Reading>,
    commands: mpsc::Sender<PendingCommand>,
    stop: CancellationToken,
    counters: Arc<dyn holdfast_adapter_api::Counters>,
    task: JoinHandle<Result<(), AdapterError>>,
}

impl Running {
    fn start(socket: &Socket, toml: &str) -> Self {
        let text = format!("name = \"dev\"\nport = {:?}\n{toml}", socket.path().to_str().unwrap());
        let config: Config = toml::from_str(&text).unwrap();
        let mut serial = Serial::new(&config).unwrap();
        let (readings_in, readings) = mpsc::channel(8);
        let (commands, commands_out) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let counters = serial.counters();
        let mut io = AdapterIo {
            readings: readings_in,
            commands: commands_out,
            clock: Arc::new(FixedClock),
            stop: stop.clone(),
        };
        let task = tokio::spawn(async move { serial.run(&mut io).await });
        Self { readings, commands, stop, counters, task }
    }

    async fn reading(&mut self) -> Reading {
        timeout(PATIENCE, self.readings.recv()).await.expect("a reading in time").unwrap()
    }

    async fn command(&self, point: &str, value: Value, time: Duration) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let command = Command {
            id: "c1".into(),
            device: DeviceName::try_from("dev".to_owned()).unwrap(),
            point: point.into(),
            value,
            deadline: Instant::now() + time,
        };
        self.commands.send(PendingCommand { command, reply }).await.unwrap();
        timeout(PATIENCE, outcome).await.expect("an outcome in time").unwrap()
    }

    fn count(&self, name: &str) -> u64 {
        self.counters.snapshot().iter().find(|counter| counter.name == name).unwrap().value
    }

    /// Waits until a counter has at least this value.
    async fn until(&self, name: &str, value: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.count(name) < value {
            assert!(Instant::now() < deadline, "{name} is {} instead of {value}", self.count(name));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stopped(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it stops in time").unwrap().unwrap();
    }
}

fn values(reading: &Reading) -> Vec<(&str, Option<Value>)> {
    reading.points.iter().map(|point| (point.name.as_str(), point.value.clone())).collect()
}

const WIND: &str = r#"
    baud = 4800
    parser = { kind = "nmea" }
    point = [
        { name = "direction", unit = "°", sentence = "MWV", field = 1 },
        { name = "speed", unit = "kn", sentence = "MWV", field = 3 },
    ]"#;

#[tokio::test]
async fn an_anemometer_is_read_and_its_damaged_sentences_are_not() {
    let socket = Socket::new();
    let mut device = socket.plug();
    let mut running = Running::start(&socket, WIND);
    running.until("opened", 1).await;
    device.say("$WIMWV,084.0,R,99.9,N,A*00\r\n$WIMWV,084.0,R,10.4,N,A*1A\r\n").await;
    let reading = running.reading().await;
    let json = String::from_utf8(reading.to_json()).unwrap();
    assert_eq!(
        json,
        r#"{"device":"dev","ts":"2023-11-14T22:13:20.123Z","ts_trusted":true,"seq":0,"points":{"direction":{"value":84.0,"unit":"°","quality":"good"},"speed":{"value":10.4,"unit":"kn","quality":"good"}}}"#
    );
    assert_eq!((running.count("frames"), running.count("frames_checksum")), (2, 1));
    running.stopped().await;
}

#[tokio::test]
async fn a_device_that_is_unplugged_and_plugged_in_again_is_read_again() {
    let socket = Socket::new();
    let mut device = socket.plug();
    let mut running = Running::start(&socket, WIND);
    running.until("opened", 1).await;
    device.say("$WIMWV,084.0,R,10.4,N,A*1A\r\n$WIMWV,08").await;
    assert_eq!(running.reading().await.points[0].value, Some(Value::Float(84.0)));
    running.until("bytes", 37).await;

    socket.unplug(device);
    let offline = running.reading().await;
    assert!(offline.points.iter().all(|p| p.quality == Quality::Offline && p.value.is_none()));
    assert_eq!(running.count("frames_partial"), 1, "what was cut off is counted");
    running.until("port_errors", 2).await;
    let tried = running.count("port_errors");
    assert!(tried < 20, "it tried {tried} times: that is a hot loop");
    let outcome = running.command("speed", Value::Int(1), PATIENCE).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");

    let mut device = socket.plug();
    running.until("opened", 2).await;
    device.say("4.0,R,10.4,N,A*1A\r\n$WIMWV,084.0,R,10.4,N,A*1A\r\n").await;
    let reading = running.reading().await;
    assert_eq!((reading.sequence, reading.points[0].value.clone()), (2, Some(Value::Float(84.0))));
    assert_eq!(running.count("frames_garbled"), 1, "two halves never make a sentence");
    running.stopped().await;
}

#[tokio::test]
async fn a_port_that_is_not_there_at_start_is_reported_and_found_later() {
    let socket = Socket::new();
    let mut running = Running::start(&socket, WIND);
    assert_eq!(running.reading().await.points[0].quality, Quality::Offline);
    let mut device = socket.plug();
    running.until("opened", 1).await;
    device.say("$WIMWV,084.0,R,10.4,N,A*1A\r\n").await;
    assert_eq!(running.reading().await.points[0].quality, Quality::Good);
    running.stopped().await;
}

#[tokio::test]
async fn a_device_is_set_up_and_asked_and_its_silence_is_reported() {
    let socket = Socket::new();
    let mut device = socket.plug();
    let mut running = Running::start(
        &socket,
        r#"
        init = ['AUTO\r\n', 'FMT 1\r\n']
        poll_command = 'READ\r\n'
        poll_interval = "200ms"
        answer_timeout = "150ms"
        parser = { kind = "regex", pattern = '^TC:(?<t>[-0-9.]+),HC:(?<h>[0-9.]+),BR:\d+,HZ:\d+$' }
        point = [{ name = "t", unit = "°C" }, { name = "h", unit = "%" }]"#,
    );
    device.expect("AUTO\r\nFMT 1\r\nREAD\r\n").await;
    device.say("TC:0.0,HC:0.0,BR:9600,HZ:1\r\n").await;
    let reading = running.reading().await;
    let zero = Some(Value::Float(0.0));
    assert_eq!(values(&reading), [("t", zero.clone()), ("h", zero)]);
    device.expect("READ\r\n").await;
    assert_eq!(running.reading().await.points[0].quality, Quality::Timeout);
    device.expect("READ\r\n").await;
    running.stopped().await;
}

#[tokio::test]
async fn a_command_is_written_in_time_or_not_at_all() {
    let socket = Socket::new();
    let mut device = socket.plug();
    let running = Running::start(
        &socket,
        r#"
        answer_timeout = "200ms"
        parser = { kind = "csv" }
        point = [
            { name = "level", column = 1 },
            { name = "relay", type = "bool", write = 'RELAY {value}\r\n' },
            { name = "limit", max = 50.0, write = 'LIMIT {value}\r\n', write_answer = "OK" },
        ]"#,
    );
    running.until("opened", 1).await;
    let outcome = running.command("relay", Value::Bool(true), PATIENCE).await;
    assert_eq!(outcome, Outcome::Done { readback: None });
    device.expect("RELAY 1\r\n").await;

    let confirmed = async {
        device.expect("LIMIT 21.5\r\n").await;
        device.say("OK\r\nOK\r\n").await;
    };
    let (outcome, ()) =
        tokio::join!(running.command("limit", Value::Float(21.5), PATIENCE), confirmed);
    assert_eq!(outcome, Outcome::Done { readback: None });

    let outcome = running.command("limit", Value::Float(60.0), PATIENCE).await;
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
    let outcome = running.command("level", Value::Float(1.0), PATIENCE).await;
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
    let outcome = running.command("limit", Value::Float(1.0), Duration::ZERO).await;
    assert_eq!(outcome, Outcome::Expired);
    let outcome = running.command("limit", Value::Float(2.0), PATIENCE).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    device.expect("LIMIT 2\r\n").await;
    running.stopped().await;
}

#[tokio::test]
async fn a_gateway_that_takes_no_readings_ends_the_run_for_good() {
    let socket = Socket::new();
    let mut device = socket.plug();
    let mut running = Running::start(&socket, WIND);
    running.until("opened", 1).await;
    running.readings.close();
    device.say("$WIMWV,084.0,R,10.4,N,A*1A\r\n").await;
    let ended = timeout(PATIENCE, running.task).await.unwrap().unwrap().unwrap_err();
    assert!(!ended.is_worth_a_retry());
}

#[tokio::test]
async fn a_stopped_adapter_can_be_run_again_and_goes_on_counting() {
    let socket = Socket::new();
    let mut device = socket.plug();
    let config: Config =
        toml::from_str(&format!("name = \"dev\"\nport = {:?}\n{WIND}", socket.path())).unwrap();
    let mut serial = Serial::new(&config).unwrap();
    for sequence in 0..2 {
        let (readings_in, mut readings) = mpsc::channel(8);
        let (_commands, commands_out) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let mut io = AdapterIo {
            readings: readings_in,
            commands: commands_out,
            clock: Arc::new(FixedClock),
            stop: stop.clone(),
        };
        let talk = async {
            device.say("$WIMWV,084.0,R,10.4,N,A*1A\r\n").await;
            let reading = timeout(PATIENCE, readings.recv()).await.unwrap().unwrap();
            assert_eq!(reading.sequence, sequence);
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(serial.run(&mut io), talk);
        ended.unwrap();
    }
}
