//! The site's Modbus devices, simulated: a weather station on a serial line, an energy meter
//! behind TCP.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use holdfast_modbus::simulator::{
    METER_LIMIT_ADDRESS, METER_UNIT, STATION_UNIT, Simulation, energy_meter, weather_station,
};
use rustix::fs::OFlags;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_serial::{SerialPort, SerialStream};

/// Why there are no devices.
#[derive(Debug, Error)]
pub enum PlantError {
    /// No pseudo terminal.
    #[error("cannot make a pair of pseudo terminals for the serial line: {0}")]
    Pty(#[from] tokio_serial::Error),
    /// No socket, or the line could not be opened.
    #[error("cannot open the simulated devices' {what}: {source}")]
    Io {
        /// What could not be opened.
        what: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
}

/// The running devices.
#[derive(Debug)]
pub struct Plant {
    _station: Simulation,
    meter: Simulation,
    meter_address: SocketAddr,
    port: PathBuf,
    line: Option<SerialStream>,
    _held_open: fs::File,
}

impl Plant {
    /// Starts the devices.
    pub async fn start() -> Result<Self, PlantError> {
        let (station_end, line) = SerialStream::pair()?;
        let port = PathBuf::from(line.name().unwrap_or_default());
        // A line whose gateway was killed must stay a line: without this the station's end would
        // see a hang-up when the last one who had it open is gone.
        let held_open = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32)
            .open(&port)
            .map_err(|source| PlantError::Io { what: "serial line", source })?;
        let socket = |source| PlantError::Io { what: "socket", source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(socket)?;
        let meter_address = listener.local_addr().map_err(socket)?;
        Ok(Self {
            _station: weather_station(station_end, STATION_UNIT),
            meter: energy_meter(listener),
            meter_address,
            port,
            line: Some(line),
            _held_open: held_open,
        })
    }

    /// The serial port on which the station is reached.
    pub fn port(&self) -> &Path {
        &self.port
    }

    /// Where the meter listens.
    pub fn meter_address(&self) -> SocketAddr {
        self.meter_address
    }

    /// What the meter's register for the power limit holds, in tenths of a percent.
    pub fn limit(&self) -> Option<u16> {
        self.meter.holding(METER_UNIT, METER_LIMIT_ADDRESS)
    }

    /// Gives the serial port back after whoever had opened it exclusively was killed. A real port
    /// is given back by the kernel with its last descriptor; this one is still held open here.
    pub fn release_port(&mut self) {
        // Closing our end of the pair takes the exclusive mode off the terminal.
        self.line = None;
    }
}
