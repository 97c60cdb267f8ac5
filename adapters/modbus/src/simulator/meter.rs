//! An energy meter with the register layout of an Eastron SDM630.

use std::{f32::consts::TAU, time::Duration};

use tokio::net::TcpListener;

use super::{Bank, Simulation, Unit, serve_tcp};

/// The unit of the simulated meter.
pub const METER_UNIT: u8 = 1;

/// A writable holding register of the simulation: the power limit in tenths of a percent.
pub const METER_LIMIT_ADDRESS: u16 = 0x0100;

/// A coil of the simulation: the load relay.
pub const METER_RELAY_ADDRESS: u16 = 0x0000;

const SWING: Duration = Duration::from_secs(90);

/// Starts an energy meter behind `listener`, as unit [`METER_UNIT`].
///
/// Input registers, each a float32 in two registers, high word first: 0x00, 0x02, 0x04 voltage of
/// L1 to L3 in V; 0x06, 0x08, 0x0A current in A; 0x0C, 0x0E, 0x10 power in W; 0x34 total power in
/// W; 0x46 frequency in Hz; 0x48 imported energy in kWh. Holding [`METER_LIMIT_ADDRESS`] and coil
/// [`METER_RELAY_ADDRESS`] can be written.
pub fn energy_meter(listener: TcpListener) -> Simulation {
    let mut bank = Bank::new();
    // The registers between the values exist and read zero, as they do in the meter.
    bank.set_input(0, &[0; 0x4A]);
    bank.set_writable(METER_LIMIT_ADDRESS, &[1_000]);
    bank.set_coils(METER_RELAY_ADDRESS, &[true]);
    serve_tcp(listener, [(METER_UNIT, Unit::new(bank, load))])
}

fn load(bank: &mut Bank, since_start: Duration) {
    let phase = since_start.as_secs_f32() / SWING.as_secs_f32() * TAU;
    let mut total = 0.0;
    for line in 0..3_u16 {
        let swing = (phase + f32::from(line)).sin();
        let (volts, amperes) = (230.0 + 1.8 * swing, 6.0 + 3.5 * swing);
        total += volts * amperes;
        set_float(bank, 2 * line, volts);
        set_float(bank, 0x06 + 2 * line, amperes);
        set_float(bank, 0x0C + 2 * line, volts * amperes);
    }
    set_float(bank, 0x34, total);
    set_float(bank, 0x46, 50.0 + 0.02 * phase.sin());
    set_float(bank, 0x48, 1_284.5 + since_start.as_secs_f32() / 3_600.0 * 4.1);
}

fn set_float(bank: &mut Bank, address: u16, value: f32) {
    let bits = value.to_bits();
    bank.set_input(address, &[(bits >> 16) as u16, bits as u16]);
}
