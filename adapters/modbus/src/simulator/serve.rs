//! Serves banks of registers over a serial line or TCP.

use std::{
    collections::BTreeMap,
    fmt,
    future::{Ready, ready},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_modbus::{
    ExceptionCode, Response, SlaveRequest,
    server::{Service, rtu, tcp},
};
use tokio_serial::SerialStream;

use super::Bank;

/// One simulated device: its registers, and how they change with time.
pub struct Unit {
    bank: Bank,
    refresh: fn(&mut Bank, Duration),
}

impl Unit {
    /// A device whose registers are set anew by `refresh` before each request; it is given the
    /// time since the simulation's start.
    pub fn new(bank: Bank, refresh: fn(&mut Bank, Duration)) -> Self {
        Self { bank, refresh }
    }

    /// A device whose registers change only when they are written.
    pub fn constant(bank: Bank) -> Self {
        Self::new(bank, |_, _| {})
    }
}

/// A running simulation. It ends when this is dropped.
#[derive(Debug)]
pub struct Simulation {
    line: Line,
    task: JoinHandle<()>,
}

impl Simulation {
    /// The holding register of a device, as it stands.
    pub fn holding(&self, unit: u8, address: u16) -> Option<u16> {
        self.with_bank(unit, |bank| bank.holding(address)).flatten()
    }

    /// The coil of a device, as it stands.
    pub fn coil(&self, unit: u8, address: u16) -> Option<bool> {
        self.with_bank(unit, |bank| bank.coil(address)).flatten()
    }

    /// Looks at the registers of a device, or changes them; `None` if there is no such device.
    pub fn with_bank<T>(&self, unit: u8, f: impl FnOnce(&mut Bank) -> T) -> Option<T> {
        let unit = self.line.units.get(&unit)?;
        Some(f(&mut unit.lock().unwrap_or_else(PoisonError::into_inner).bank))
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves devices on one end of a serial line. A unit that is not there is silent.
pub fn serve_rtu(port: SerialStream, units: impl IntoIterator<Item = (u8, Unit)>) -> Simulation {
    let line = Line::new(units);
    let service = line.clone();
    let task = tokio::spawn(async move {
        if let Err(error) = rtu::Server::new(port).serve_forever(service).await {
            tracing::debug!(%error, "the simulated serial line ended");
        }
    });
    Simulation { line, task }
}

/// Serves devices on a listening socket. A unit that is not there is silent.
pub fn serve_tcp(listener: TcpListener, units: impl IntoIterator<Item = (u8, Unit)>) -> Simulation {
    let line = Line::new(units);
    let service = line.clone();
    let task = tokio::spawn(async move {
        let on_connected = |stream, _| {
            let service = service.clone();
            async move { Ok::<_, io::Error>(Some((service, stream))) }
        };
        let on_error = |error| tracing::debug!(%error, "a simulated connection ended");
        if let Err(error) = tcp::Server::new(listener).serve(&on_connected, on_error).await {
            tracing::debug!(%error, "the simulated listener ended");
        }
    });
    Simulation { line, task }
}

#[derive(Clone)]
struct Line {
    units: Arc<BTreeMap<u8, Mutex<Unit>>>,
    started: Instant,
}

impl Line {
    fn new(units: impl IntoIterator<Item = (u8, Unit)>) -> Self {
        let units = units.into_iter().map(|(id, unit)| (id, Mutex::new(unit))).collect();
        Self { units: Arc::new(units), started: Instant::now() }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("units", &self.units.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit").field("bank", &self.bank).finish_non_exhaustive()
    }
}

impl Service for Line {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Self::Response, Self::Exception>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        let Some(unit) = self.units.get(&request.slave) else {
            return ready(Ok(None));
        };
        let mut unit = unit.lock().unwrap_or_else(PoisonError::into_inner);
        let refresh = unit.refresh;
        refresh(&mut unit.bank, self.started.elapsed());
        ready(unit.bank.answer(&request.request).map(Some))
    }
}
