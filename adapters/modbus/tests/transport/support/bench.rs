//! Runs an adapter as the gateway does.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use holdfast_adapter_api::{
    Adapter, AdapterIo, Clock, Command, Counters, DeviceName, Outcome, PendingCommand, Quality,
    Reading, Timestamp, Value,
};
use holdfast_modbus::{Config, Modbus};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp { unix_millis: since_epoch.as_millis() as i64, trusted: true }
    }
}

/// A running adapter.
pub struct Bench {
    readings: mpsc::Receiver<Reading>,
    commands: mpsc::Sender<PendingCommand>,
    counters: Arc<dyn Counters>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Bench {
    /// Starts an adapter for a `[[modbus]]` section.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, 1_000)
    }

    /// The same with room for so many readings that nobody has taken yet.
    pub fn start_with(config: &str, readings_max: usize) -> Self {
        let config: Config = toml::from_str(config).unwrap();
        let mut adapter = Modbus::new(&config).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let counters = adapter.counters();
        let (readings_in, readings) = mpsc::channel(readings_max);
        let (commands, commands_out) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let mut io = AdapterIo {
            readings: readings_in,
            commands: commands_out,
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
        };
        let task = tokio::spawn(async move { adapter.run(&mut io).await.unwrap() });
        Self { readings, commands, counters, stop, task }
    }

    /// The next reading.
    pub async fn reading(&mut self) -> Reading {
        let Ok(reading) = timeout(PATIENCE, self.readings.recv()).await else {
            panic!("no reading in time: {:#?}", self.counters.snapshot())
        };
        reading.expect("the adapter runs")
    }

    /// The next reading of a device.
    pub async fn reading_of(&mut self, device: &str) -> Reading {
        self.reading_where(|reading| reading.device.as_str() == device).await
    }

    /// The next reading that is wanted.
    pub async fn reading_where(&mut self, mut wanted: impl FnMut(&Reading) -> bool) -> Reading {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reading = self.reading().await;
            if wanted(&reading) {
                return reading;
            }
            assert!(Instant::now() < deadline, "no such reading in time; the last was {reading:?}");
        }
    }

    /// Every reading within a time.
    pub async fn readings_for(&mut self, time: Duration) -> Vec<(Instant, Reading)> {
        let end = Instant::now() + time;
        let mut readings = Vec::new();
        while let Ok(reading) = tokio::time::timeout_at(end.into(), self.readings.recv()).await {
            readings.push((Instant::now(), reading.unwrap()));
        }
        readings
    }

    /// Sends a command and waits for its outcome.
    pub async fn write(&self, device: &str, point: &str, value: Value) -> Outcome {
        self.write_within(device, point, value, Duration::from_secs(5)).await
    }

    /// The same with a deadline.
    pub async fn write_within(
        &self,
        device: &str,
        point: &str,
        value: Value,
        within: Duration,
    ) -> Outcome {
        let outcome = self.begin_write(device, point, value, within).await;
        timeout(PATIENCE, outcome).await.expect("an outcome in time").unwrap()
    }

    /// Sends a command.
    pub async fn begin_write(
        &self,
        device: &str,
        point: &str,
        value: Value,
        within: Duration,
    ) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        let command = Command {
            id: "test".to_owned(),
            device: DeviceName::try_from(device.to_owned()).unwrap(),
            point: point.to_owned(),
            value,
            deadline: Instant::now() + within,
        };
        self.commands.send(PendingCommand { command, reply }).await.unwrap();
        outcome
    }

    /// Sends commands without end, so that there is always one waiting.
    pub fn flood(&self, device: &str, point: &str) -> JoinHandle<()> {
        let commands = self.commands.clone();
        let command = Command {
            id: "flood".to_owned(),
            device: DeviceName::try_from(device.to_owned()).unwrap(),
            point: point.to_owned(),
            value: Value::Int(1),
            deadline: Instant::now() + 10 * PATIENCE,
        };
        tokio::spawn(async move {
            loop {
                let pending =
                    PendingCommand { command: command.clone(), reply: oneshot::channel().0 };
                commands.send(pending).await.unwrap();
            }
        })
    }

    /// A counter, summed over codes.
    pub fn count(&self, name: &str, device: Option<&str>) -> u64 {
        let of_device = |labels: &[(&str, String)]| match device {
            Some(device) => labels.iter().any(|(key, of)| *key == "device" && of == device),
            None => true,
        };
        let counters = self.counters.snapshot();
        let wanted = counters.iter().filter(|c| c.name == name && of_device(&c.labels));
        wanted.map(|counter| counter.value).sum()
    }

    /// Stops the adapter; it must not take long.
    pub async fn stop(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(2), self.task).await.expect("the adapter to stop").unwrap();
    }
}

/// The good values of a reading, by name, as whole numbers, and the qualities of the others.
pub fn words(reading: &Reading) -> (BTreeMap<String, i64>, Vec<Quality>) {
    let mut values = BTreeMap::new();
    let mut qualities = Vec::new();
    for point in &reading.points {
        match (&point.value, point.quality) {
            (Some(Value::Int(value)), Quality::Good) => {
                values.insert(point.name.clone(), *value);
            }
            (_, quality) => qualities.push(quality),
        }
    }
    (values, qualities)
}

/// A `[[modbus.device]]` whose points are single registers with these addresses, named by them.
pub fn device(name: &str, unit: u8, poll_interval: &str, addresses: &[u16]) -> String {
    let point = |address: &u16| {
        format!("[[device.point]]\nname = \"{address}\"\naddress = {address}\nwritable = true\n")
    };
    let points = addresses.iter().map(point).collect::<Vec<_>>().concat();
    format!(
        "[[device]]\nname = \"{name}\"\nunit = {unit}\npoll_interval = \"{poll_interval}\"\n{points}"
    )
}
