//! The adapter: a line with its port, kept open.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{
    Adapter, AdapterError, AdapterFuture, AdapterIo, Counters, DeviceName, Outcome, Problem,
};
use tokio::time::sleep_until;
use tokio_serial::SerialStream;
use tracing::{debug, info, warn};

use crate::{
    Config,
    counters::Tally,
    line::Line,
    plan::{Plan, PortSettings},
    port::{self, Backoff},
    session::{End, Script, Session, answer},
};

/// A port that stayed open for this long is no longer one that fails at once.
const SETTLED: Duration = Duration::from_secs(5);

/// The adapter for one serial line.
pub struct Serial {
    name: String,
    device: DeviceName,
    settings: PortSettings,
    script: Script,
    line: Line,
    tally: Arc<Tally>,
    backoff: Backoff,
}

impl Serial {
    /// The adapter for a configuration, or everything that is wrong with it.
    pub fn new(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut plan = Plan::new(config)?;
        let tally = Arc::new(Tally::new(plan.name.clone(), plan.device.clone()));
        Ok(Self {
            name: plan.name.clone(),
            device: plan.device.clone(),
            settings: plan.port.clone(),
            script: Script {
                init: std::mem::take(&mut plan.init),
                poll: plan.poll.as_ref().map(|poll| poll.command.clone()),
                writers: std::mem::take(&mut plan.writers),
                baud: plan.port.baud,
            },
            line: Line::new(plan, Arc::clone(&tally), Instant::now()),
            tally,
            backoff: Backoff::new(),
        })
    }

    async fn serve(&mut self, io: &mut AdapterIo) -> Result<(), AdapterError> {
        loop {
            let Some(opened) = self.open(io).await else { return Ok(()) };
            let failure = match opened {
                Ok(mut port) => {
                    let since = Instant::now();
                    let end = Session {
                        port: &mut port,
                        line: &mut self.line,
                        script: &self.script,
                        tally: &self.tally,
                        io,
                    }
                    .run()
                    .await;
                    port::close(port);
                    if since.elapsed() >= SETTLED {
                        self.backoff.reset();
                    }
                    match end {
                        End::Stopped => {
                            self.hand_over_the_rest(io);
                            return Ok(());
                        }
                        End::Closed => return Err(self.closed()),
                        End::Failed(error) => error,
                    }
                }
                Err(error) => error,
            };
            self.report(&failure, io).await?;
            if !self.pause(&failure, io).await {
                return Ok(());
            }
        }
    }

    /// Opens the port; `None` if the adapter is to stop.
    async fn open(&mut self, io: &AdapterIo) -> Option<io::Result<SerialStream>> {
        let opened = tokio::select! {
            () = io.stop.cancelled() => return None,
            opened = port::open(&self.settings) => opened,
        };
        if opened.is_ok() {
            info!(adapter = %self.name, port = %self.settings.path, "the port is open");
        }
        Some(opened)
    }

    /// Tells of a port that is not there: the first time in an outage to everybody.
    async fn report(&mut self, error: &io::Error, io: &AdapterIo) -> Result<(), AdapterError> {
        let (adapter, port, remedy) = (&self.name, &self.settings.path, port::remedy(error));
        if self.line.lost(&format!("{port}: {error}"), io.clock.now()) {
            warn!(%adapter, %port, %error, remedy, "the port is lost; it is tried again and again");
        } else {
            debug!(%adapter, %port, %error, "the port is still not there");
        }
        for reading in self.line.take_readings() {
            tokio::select! {
                () = io.stop.cancelled() => return Ok(()),
                sent = io.readings.send(reading) => sent.map_err(|_| self.closed())?,
            }
        }
        Ok(())
    }

    /// What was gathered for the end of an interval goes out when the adapter stops before it.
    fn hand_over_the_rest(&mut self, io: &AdapterIo) {
        self.line.stopped("the gateway is stopping");
        for reading in self.line.take_readings() {
            if io.readings.try_send(reading).is_err() {
                debug!(adapter = %self.name, "the gateway took no last reading");
            }
        }
    }

    /// Waits before the next attempt; false if the adapter is to stop. Commands do not wait.
    async fn pause(&mut self, error: &io::Error, io: &mut AdapterIo) -> bool {
        let until = Instant::now() + self.backoff.pause();
        let mut commanded = true;
        loop {
            tokio::select! {
                () = io.stop.cancelled() => return false,
                () = sleep_until(until.into()) => return true,
                pending = io.commands.recv(), if commanded => match pending {
                    Some(pending) if pending.command.deadline <= Instant::now() => {
                        answer(pending.reply, Outcome::Expired);
                    }
                    Some(pending) => {
                        let reason = format!("{} is not there: {error}", self.settings.path);
                        answer(pending.reply, Outcome::Failed { reason });
                    }
                    None => commanded = false,
                },
            }
        }
    }

    fn closed(&self) -> AdapterError {
        AdapterError::Closed { adapter: self.name.clone() }
    }
}

impl Adapter for Serial {
    fn name(&self) -> &str {
        &self.name
    }

    fn devices(&self) -> Vec<DeviceName> {
        vec![self.device.clone()]
    }

    fn counters(&self) -> Arc<dyn Counters> {
        Arc::clone(&self.tally) as Arc<dyn Counters>
    }

    fn run<'a>(&'a mut self, io: &'a mut AdapterIo) -> AdapterFuture<'a> {
        Box::pin(self.serve(io))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serial").field("name", &self.name).finish_non_exhaustive()
    }
}
