//! The master's loop: what is done next.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{AdapterError, AdapterIo, DeviceName, Outcome, PendingCommand, Reading};
use tokio::{sync::mpsc::error::TryRecvError, time::sleep_until};

use super::{
    device::Device,
    link::Link,
    pick::{Candidate, pick},
    poll::Poll,
    reading::{offline, reading},
    write::Desk,
};
use crate::{
    config::Config, counters::Tallies, health::Patience, line::Open, map::BusMap, plan::Limits,
    schedule::Schedule,
};

/// So many commands in a row are carried out before a read gets its turn.
const COMMANDS_IN_A_ROW_MAX: u32 = 4;

/// One bus and everything on it.
#[derive(Debug)]
pub(crate) struct Master {
    name: String,
    devices: Vec<Device>,
    link: Link,
    tallies: Arc<Tallies>,
    limits: Limits,
    retries: u8,
    write_single: bool,
    probe_patience: Duration,
    poll: Option<Poll>,
    commands_in_a_row: u32,
    /// Whether the loss of the line has been reported for every device.
    loss_reported: bool,
}

/// What to do next.
enum Job {
    Command(Box<PendingCommand>),
    Read,
    Reopen,
    Wait(Option<Instant>),
}

impl Master {
    pub(crate) fn new(config: &Config, map: BusMap, opener: Box<dyn Open>) -> Self {
        let names = map.devices.iter().map(|device| device.name.clone());
        let tallies = Arc::new(Tallies::new(&config.name, names));
        let patience =
            Patience { offline_after: config.offline_after, probe_interval: config.probe_interval };
        let (now, count) = (Instant::now(), map.devices.len());
        let devices = map.devices.into_iter().enumerate().map(|(index, device)| {
            let schedule = Schedule::start(now, device.poll_interval, index, count);
            Device::new(device, schedule, patience, tallies.device(index))
        });
        Self {
            name: config.name.clone(),
            devices: devices.collect(),
            link: Link::new(config, opener, Arc::clone(&tallies)),
            tallies,
            limits: map.limits,
            retries: config.retries,
            write_single: config.write_single,
            probe_patience: config.probe_interval,
            poll: None,
            commands_in_a_row: 0,
            loss_reported: false,
        }
    }

    pub(crate) fn devices(&self) -> Vec<DeviceName> {
        self.devices.iter().map(|device| device.map.name.clone()).collect()
    }

    pub(crate) fn tallies(&self) -> Arc<Tallies> {
        Arc::clone(&self.tallies)
    }

    /// Runs until it is told to stop, or nobody takes readings any more.
    pub(crate) async fn run(&mut self, io: &mut AdapterIo) -> Result<(), AdapterError> {
        self.link.stop = io.stop.clone();
        while !io.stop.is_cancelled() {
            match self.next_job(io) {
                Job::Command(pending) => self.command(*pending).await,
                Job::Read => self.read(io).await?,
                Job::Reopen => self.reopen().await,
                Job::Wait(until) => self.wait(io, until).await,
            }
            self.report_loss(io).await?;
        }
        Ok(())
    }

    fn next_job(&mut self, io: &mut AdapterIo) -> Job {
        let now = Instant::now();
        if self.link.reopen_at().is_some_and(|at| at <= now) {
            return Job::Reopen;
        }
        if self.poll.is_none() {
            let candidates = self
                .devices
                .iter()
                .map(|device| Candidate { due: device.due(), probe: device.health.is_offline() });
            if let Some(index) = pick(now, self.probe_patience, candidates) {
                self.devices[index].take_slot(now);
                let device = &self.devices[index];
                self.poll = Some(Poll::start(index, device, io.clock.now(), now));
            }
        }
        let reads_wait = self.poll.is_some();
        if !reads_wait || self.commands_in_a_row < COMMANDS_IN_A_ROW_MAX {
            match io.commands.try_recv() {
                Ok(pending) => return Job::Command(Box::new(pending)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
            }
        }
        if reads_wait {
            return Job::Read;
        }
        let due = self.devices.iter().map(Device::due);
        Job::Wait(due.chain(self.link.reopen_at()).min())
    }

    async fn command(&mut self, pending: PendingCommand) {
        self.commands_in_a_row += 1;
        let PendingCommand { command, reply } = pending;
        let device = self.devices.iter_mut().find(|device| device.map.name == command.device);
        let outcome = match device {
            Some(device) => {
                let (link, tallies) = (&mut self.link, &*self.tallies);
                let desk = Desk { link, device, tallies, write_single: self.write_single };
                desk.carry_out(&command).await
            }
            None => Outcome::Rejected {
                reason: format!("{} has no device {}", self.name, command.device),
            },
        };
        tracing::debug!(id = command.id, device = %command.device, ?outcome, "command");
        // Whoever no longer waits for the outcome does not need it.
        let _unheard = reply.send(outcome);
    }

    /// One read of the poll that has begun.
    async fn read(&mut self, io: &mut AdapterIo) -> Result<(), AdapterError> {
        self.commands_in_a_row = 0;
        let Some(mut poll) = self.poll.take() else { return Ok(()) };
        let device = &mut self.devices[poll.device];
        let finished = poll.step(&mut self.link, device, &self.tallies, self.retries).await;
        if !finished {
            self.poll = Some(poll);
            return Ok(());
        }
        if io.stop.is_cancelled() && !poll.is_answered() {
            // It was cut short by the stop, which says nothing about the device.
            return Ok(());
        }
        let reading = reading(device, &poll);
        let now = Instant::now();
        poll.finish(device, self.limits, now);
        if self.link.lost().is_some() {
            // This reading has said so already.
            device.health.give_up(now);
        }
        self.hand_over(io, reading).await
    }

    async fn hand_over(&self, io: &AdapterIo, reading: Reading) -> Result<(), AdapterError> {
        tokio::select! {
            sent = io.readings.send(reading) => {
                sent.map_err(|_| AdapterError::Closed { adapter: self.name.clone() })
            }
            () = io.stop.cancelled() => Ok(()),
        }
    }

    async fn reopen(&mut self) {
        if self.link.line().await.is_ok() {
            let now = Instant::now();
            for device in &mut self.devices {
                device.health.probe_now(now);
            }
        }
    }

    /// Once the line is lost, says so for every device, and gives them all up.
    async fn report_loss(&mut self, io: &AdapterIo) -> Result<(), AdapterError> {
        let lost = self.link.lost().is_some();
        if !lost || self.loss_reported {
            self.loss_reported = lost;
            return Ok(());
        }
        self.loss_reported = true;
        self.poll = None;
        let now = Instant::now();
        let mut readings = Vec::new();
        for device in &mut self.devices {
            if !device.health.is_offline() {
                device.health.give_up(now);
                readings.push(offline(device, io.clock.now()));
            }
        }
        for reading in readings {
            self.hand_over(io, reading).await?;
        }
        Ok(())
    }

    async fn wait(&mut self, io: &mut AdapterIo, until: Option<Instant>) {
        let wake = async {
            match until {
                Some(until) => sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wake => {}
            () = io.stop.cancelled() => {}
            Some(pending) = io.commands.recv() => self.command(pending).await,
        }
    }
}
