//! `[[modbus]]` and `[[serial]]`

use std::collections::HashMap;

use super::require;
use crate::config::{Config, Problem};

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    for (i, bus) in config.modbus.iter().enumerate() {
        let prefixed = bus.problems().into_iter().map(|p| below(&format!("modbus[{i}]"), p));
        problems.extend(prefixed);
    }
    for (i, line) in config.serial.iter().enumerate() {
        let prefixed = line.problems().into_iter().map(|p| below(&format!("serial[{i}]"), p));
        problems.extend(prefixed);
    }
    unique(problems, "adapter", adapter_names(config));
    unique(problems, "device", device_names(config));
    unique(problems, "port", ports(config));
}

fn below(prefix: &str, problem: holdfast_adapter_api::Problem) -> Problem {
    Problem::new(format!("{prefix}.{}", problem.key), problem.message, problem.remedy)
}

fn unique(problems: &mut Vec<Problem>, what: &str, names: Vec<(String, String)>) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for (key, name) in names {
        if let Some(first) = seen.get(&name) {
            let message = format!("the {what} {name:?} is already used at {first}");
            require(problems, false, key, message, format!("give each {what} to one place only"));
        } else {
            seen.insert(name, key);
        }
    }
}

fn adapter_names(config: &Config) -> Vec<(String, String)> {
    let modbus = config.modbus.iter().enumerate();
    let serial = config.serial.iter().enumerate();
    modbus
        .map(|(i, bus)| (format!("modbus[{i}].name"), bus.name.clone()))
        .chain(serial.map(|(i, line)| (format!("serial[{i}].name"), line.name.clone())))
        .collect()
}

fn device_names(config: &Config) -> Vec<(String, String)> {
    let modbus = config.modbus.iter().enumerate().flat_map(|(i, bus)| {
        let devices = bus.device.iter().enumerate();
        devices
            .map(move |(j, device)| (format!("modbus[{i}].device[{j}].name"), device.name.clone()))
    });
    let serial = config.serial.iter().enumerate();
    modbus
        .chain(
            serial.map(|(i, line)| (format!("serial[{i}].device"), line.device_name().to_owned())),
        )
        .collect()
}

fn ports(config: &Config) -> Vec<(String, String)> {
    let modbus = config.modbus.iter().enumerate();
    let serial = config.serial.iter().enumerate();
    modbus
        .filter_map(|(i, bus)| Some((format!("modbus[{i}].port"), bus.port.clone()?)))
        .chain(serial.map(|(i, line)| (format!("serial[{i}].port"), line.port.clone())))
        .collect()
}
