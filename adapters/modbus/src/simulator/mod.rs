//! Simulated devices for the demo and for tests: real Modbus servers on a real pty or socket.
//!
//! Both lines are served by tokio-modbus, an implementation that is not the one under test.

mod bank;
mod meter;
mod serve;
mod weather;

pub use bank::Bank;
pub use meter::{METER_LIMIT_ADDRESS, METER_RELAY_ADDRESS, METER_UNIT, energy_meter};
pub use serve::{Simulation, Unit, serve_rtu, serve_tcp};
pub use weather::{STATION_INTERVAL_ADDRESS, STATION_UNIT, weather_station};
