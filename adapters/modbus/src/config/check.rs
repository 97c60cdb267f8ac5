//! Turns a configuration into what the bus runs on, and finds everything that is wrong with it.

use std::{collections::BTreeSet, time::Duration};

use holdfast_adapter_api::{DeviceName, Problem};

use super::{Config, Device, REGISTERS_PER_READ, problem::Problems, resolve};
use crate::{
    map::{BusMap, DeviceMap},
    plan::{Limits, Span, plan},
};

/// No duration of a bus may be longer: beyond it a typing error is more likely.
const DURATION_MAX: Duration = Duration::from_hours(24);

/// The shortest interval in which a device can be polled.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// The most points of one device.
const POINTS_MAX: usize = 2_000;

/// The most devices on one bus: a serial line can address 247.
const DEVICES_MAX: usize = 247;

/// What the bus runs on, or every problem.
pub(crate) fn compile(config: &Config) -> Result<BusMap, Vec<Problem>> {
    let mut problems = Problems::default();
    check_endpoint(config, &mut problems);
    check_timing(config, &mut problems);
    if config.name.is_empty() {
        problems.add("name", "it is empty", "give the adapter a name");
    }
    if !(1..=REGISTERS_PER_READ).contains(&config.max_registers) {
        let message = format!("{} registers cannot be read at once", config.max_registers);
        problems.add("max_registers", message, "use 1 to 125");
    }
    if config.device.is_empty() {
        problems.add("device", "no device is given", "add a [[modbus.device]] section");
    }
    if config.device.len() > DEVICES_MAX {
        let message = format!("{} devices are too many for one bus", config.device.len());
        problems.add("device", message, format!("use at most {DEVICES_MAX}"));
    }
    let limits = Limits { registers_max: config.max_registers.max(1), gap_max: config.gap_max };
    let mut names = BTreeSet::new();
    let mut devices = Vec::new();
    for (index, device) in config.device.iter().enumerate() {
        let key = format!("device[{index}]");
        if !names.insert(device.name.as_str()) {
            let message = format!("the name {:?} is used twice", device.name);
            problems.add(format!("{key}.name"), message, "give each device its own name");
        }
        devices.extend(compile_device(config, device, &key, limits, &mut problems));
    }
    if problems.0.is_empty() { Ok(BusMap { devices, limits }) } else { Err(problems.0) }
}

fn check_endpoint(config: &Config, problems: &mut Problems) {
    match (&config.port, &config.host) {
        (Some(_), Some(_)) => problems.add(
            "host",
            "both `port` and `host` are given",
            "keep `port` for a serial line or `host` for Modbus TCP",
        ),
        (None, None) => problems.add(
            "port",
            "neither `port` nor `host` is given",
            "give `port = \"/dev/ttyUSB0\"` or `host = \"192.168.1.20:502\"`",
        ),
        (Some(port), None) if port.is_empty() => {
            problems.add("port", "it is empty", "give the serial port's path");
        }
        (None, Some(host)) if !is_host_and_port(host) => problems.add(
            "host",
            format!("{host:?} is no address and port"),
            "give both, as in \"192.168.1.20:502\"",
        ),
        _ => {}
    }
    if !(300..=4_000_000).contains(&config.baud) {
        let message = format!("{} baud is no rate of a serial line", config.baud);
        problems.add("baud", message, "use the device's rate, often 9600");
    }
    if config.data_bits != 8 {
        let message = format!("RTU cannot be carried by {} data bits", config.data_bits);
        problems.add("data_bits", message, "use 8");
    }
    if !(1..=2).contains(&config.stop_bits) {
        let message = format!("{} stop bits do not exist", config.stop_bits);
        problems.add("stop_bits", message, "use 1 or 2");
    }
}

fn is_host_and_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(name, port)| {
        !name.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

fn check_timing(config: &Config, problems: &mut Problems) {
    let durations = [
        ("response_timeout", config.response_timeout),
        ("connect_timeout", config.connect_timeout),
        ("late_grace", config.late_grace),
        ("probe_interval", config.probe_interval),
    ];
    for (key, duration) in durations {
        if duration.is_zero() || duration > DURATION_MAX {
            problems.add(key, "it is out of range", "use more than 0 s and at most 24 h");
        }
    }
    if config.offline_after == 0 {
        problems.add("offline_after", "it is 0", "use 1 or more failed polls");
    }
}

fn compile_device(
    config: &Config,
    device: &Device,
    key: &str,
    limits: Limits,
    problems: &mut Problems,
) -> Option<DeviceMap> {
    let name = DeviceName::try_from(device.name.clone());
    if let Err(error) = &name {
        problems.add(format!("{key}.name"), error.to_string(), "rename the device");
    }
    check_unit(config, device, key, problems);
    if device.poll_interval < POLL_INTERVAL_MIN || device.poll_interval > DURATION_MAX {
        let remedy = "use 10 ms to 24 h";
        problems.add(format!("{key}.poll_interval"), "it is out of range", remedy);
    }
    if device.address_base > 1 {
        let message = format!("the first register has number {}", device.address_base);
        problems.add(format!("{key}.address_base"), message, "use 0 or 1");
    }
    let topic = device.topic.replace("{device}", &device.name).replace("{adapter}", &config.name);
    if topic.is_empty() || topic.contains(['+', '#', '\0', '{', '}']) {
        let message = format!("{topic:?} cannot be published on");
        let remedy = "use plain text with {device} and {adapter}, without + and #";
        problems.add(format!("{key}.topic"), message, remedy);
    }
    if device.point.is_empty() || device.point.len() > POINTS_MAX {
        let message = format!("it has {} points", device.point.len());
        problems.add(format!("{key}.point"), message, format!("give 1 to {POINTS_MAX} points"));
    }
    let points = resolve::compile_all(device, key, config.max_registers, problems);
    let points: Vec<_> = points.into_iter().collect::<Option<_>>()?;
    let spans: Vec<Span> = points.iter().map(|point| point.span).collect();
    let all: Vec<usize> = (0..spans.len()).collect();
    Some(DeviceMap {
        name: name.ok()?,
        unit: device.unit,
        poll_interval: device.poll_interval,
        topic,
        batches: plan(&spans, &all, limits),
        spans,
        points,
    })
}

fn check_unit(config: &Config, device: &Device, key: &str, problems: &mut Problems) {
    let key = format!("{key}.unit");
    match device.unit {
        0 if config.port.is_some() => problems.add(
            key,
            "unit 0 is the broadcast address, which no device answers",
            "use the device's own address, 1 to 247",
        ),
        248.. if config.port.is_some() => problems.add(
            key,
            format!("unit {} is reserved on a serial line", device.unit),
            "use the device's own address, 1 to 247",
        ),
        _ => {}
    }
}
