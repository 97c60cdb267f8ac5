//! Builds the configured adapters and joins them to the entrance and to commands.

use std::{collections::HashMap, sync::Arc};

use holdfast_adapter_api::{Adapter, AdapterIo, DeviceName, PendingCommand, Problem, Reading};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::supervisor::supervise;
use crate::{
    broker::{Message, QoS},
    clock::SystemClock,
    config::Config,
    ingest::{Door, Source, Verdict},
};

/// Readings of one adapter that may wait for the disk before the adapter is held back.
const READINGS_MAX: usize = 256;
/// Commands that may wait for one adapter.
const COMMANDS_MAX: usize = 64;

/// Where commands for a device go.
pub(super) type CommandRoutes = HashMap<DeviceName, mpsc::Sender<PendingCommand>>;

/// The adapters, built and ready to run.
pub(super) struct Adapters {
    adapters: Vec<(&'static str, Box<dyn Adapter>, mpsc::Receiver<PendingCommand>)>,
    /// Where commands for each device go.
    pub(super) commands: CommandRoutes,
}

impl Adapters {
    /// Builds every configured adapter; the problems are those `holdfast check` shows.
    pub(super) fn build(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut built = Self { adapters: Vec::new(), commands: HashMap::new() };
        for bus in &config.modbus {
            built.add("modbus", Box::new(holdfast_modbus::Modbus::new(bus)?));
        }
        for line in &config.serial {
            built.add("serial", Box::new(holdfast_serial::Serial::new(line)?));
        }
        Ok(built)
    }

    fn add(&mut self, kind: &'static str, adapter: Box<dyn Adapter>) {
        let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
        for device in adapter.devices() {
            self.commands.insert(device, sender.clone());
        }
        tracing::debug!(
            "{kind} adapter {} has {} devices",
            adapter.name(),
            adapter.devices().len()
        );
        self.adapters.push((kind, adapter, receiver));
    }

    /// Starts all of them; they and their pumps end after `stop`.
    pub(super) fn start(
        self,
        door: &Arc<dyn Door>,
        clock: &Arc<SystemClock>,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) {
        for (kind, adapter, commands) in self.adapters {
            let (readings, incoming) = mpsc::channel(READINGS_MAX);
            let io =
                AdapterIo { readings, commands, clock: clock.clone(), stop: stop.child_token() };
            tasks.spawn(supervise(adapter, io));
            tasks.spawn(pump(kind, incoming, door.clone()));
        }
    }
}

/// Takes readings to the entrance until the adapter is gone and its last reading is in.
async fn pump(kind: &'static str, mut readings: mpsc::Receiver<Reading>, door: Arc<dyn Door>) {
    let mut gathered = Vec::new();
    while readings.recv_many(&mut gathered, READINGS_MAX).await > 0 {
        for reading in gathered.drain(..) {
            take_in(kind, &reading, door.as_ref()).await;
        }
    }
}

async fn take_in(kind: &str, reading: &Reading, door: &dyn Door) {
    let source = Source(format!("{kind}:{}", reading.device).into());
    let message = Message {
        topic: reading.topic.as_str().into(),
        payload: reading.to_json().into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        properties: None,
    };
    let verdicts = door.submit(&source, std::slice::from_ref(&message)).await;
    match verdicts.first() {
        Some(Verdict::Accepted) => {
            door.deliver(message).await;
        }
        Some(Verdict::Refused(reason)) => {
            tracing::warn!("a reading of {} was refused: {reason:?}", reading.device);
        }
        None => {}
    }
}
