//! A weather station with the register layout of an Ecowitt WN90LP.

use std::{f64::consts::TAU, time::Duration};

use tokio_serial::SerialStream;

use super::{Bank, Simulation, Unit, serve_rtu};

/// The unit a WN90LP has when it leaves the factory.
pub const STATION_UNIT: u8 = 0x90;

/// A writable holding register of the simulation: the station's sampling interval in seconds.
pub const STATION_INTERVAL_ADDRESS: u16 = 0x01F0;

/// One swing of the simulated weather.
const SWING: Duration = Duration::from_mins(2);

/// Starts a weather station on `port`.
///
/// Holding registers: 0x165 light × 10 lux, 0x166 UV index × 0.1, 0x167 temperature × 0.1 − 40 °C,
/// 0x168 humidity in %, 0x169 wind × 0.1 m/s, 0x16A gust × 0.1 m/s, 0x16B wind direction in
/// degrees, 0x16C always 0xFFFF (no value), 0x16D pressure × 0.1 hPa, 0x16E rain × 0.01 mm, and
/// [`STATION_INTERVAL_ADDRESS`], which can be written.
pub fn weather_station(port: SerialStream, unit: u8) -> Simulation {
    let mut bank = Bank::new();
    bank.set_writable(STATION_INTERVAL_ADDRESS, &[10]);
    serve_rtu(port, [(unit, Unit::new(bank, weather))])
}

fn weather(bank: &mut Bank, since_start: Duration) {
    let phase = since_start.as_secs_f64() / SWING.as_secs_f64() * TAU;
    let (slow, fast) = (phase.sin(), (phase * 7.0).sin());
    let wind = 4.0 + 2.0 * slow + 1.5 * fast;
    bank.set_holding(
        0x0165,
        &[
            raw(2_800.0 + 1_900.0 * slow, 1.0),
            raw(4.0 + 2.5 * slow, 0.1),
            raw(18.0 + 6.0 * slow + 40.0, 0.1),
            raw(62.0 - 14.0 * slow, 1.0),
            raw(wind, 0.1),
            raw(wind + 2.2, 0.1),
            raw(225.0 + 30.0 * fast, 1.0),
            0xFFFF,
            raw(1013.2 + 4.0 * (phase / 3.0).sin(), 0.1),
            raw(since_start.as_secs_f64() / 60.0 * 0.3, 0.01),
        ],
    );
}

/// The register that stands for `value`. 0xFFFF is not among them: it means "no value".
fn raw(value: f64, scale: f64) -> u16 {
    (value / scale).round().clamp(0.0, f64::from(u16::MAX - 1)) as u16
}
