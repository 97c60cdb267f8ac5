//! The plan of a line as a whole.

use std::time::Duration;

use holdfast_adapter_api::{DeviceName, Problem};

use super::{findings::Findings, frame, parser, point};
use crate::{
    config::{Config, FlowControl, FrameKind, Parity},
    decode::Decoder,
    escape,
    frame::Framer,
    write::Writer,
};

const BAUD_MIN: u32 = 50;
const BAUD_MAX: u32 = 4_000_000;
/// A poll interval below this is a slip of the pen: no serial device answers faster.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);
const TOPIC_BYTES_MAX: usize = 256;

/// A line's configuration, checked and ready to run.
#[derive(Debug)]
pub struct Plan {
    /// The adapter's name.
    pub name: String,
    /// The device's name.
    pub device: DeviceName,
    /// The topic of its readings.
    pub topic: String,
    /// The port.
    pub port: PortSettings,
    /// Cuts the bytes into frames.
    pub framer: Framer,
    /// The silence that ends a frame.
    pub gap: Option<Duration>,
    /// Makes points of frames.
    pub decoder: Decoder,
    /// How points are written.
    pub writers: Vec<Writer>,
    /// Sent after opening.
    pub init: Vec<Vec<u8>>,
    /// Sent to ask for a reading.
    pub poll: Option<Poll>,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// One reading per this interval.
    pub interval: Option<Duration>,
    /// A silence to report.
    pub silent_after: Option<Duration>,
}

/// How a device is asked for a reading.
#[derive(Debug, Clone)]
pub struct Poll {
    /// What is sent.
    pub command: Vec<u8>,
    /// How often.
    pub interval: Duration,
}

/// How the port is opened.
#[derive(Debug, Clone)]
pub struct PortSettings {
    /// Its path.
    pub path: String,
    /// Bits per second.
    pub baud: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Data bits.
    pub data_bits: u8,
    /// Stop bits.
    pub stop_bits: u8,
    /// Flow control.
    pub flow_control: FlowControl,
}

impl Config {
    /// Everything that is wrong with this configuration.
    pub fn problems(&self) -> Vec<Problem> {
        Plan::new(self).err().unwrap_or_default()
    }
}

impl Plan {
    /// The plan for a configuration, or everything that is wrong with it.
    pub fn new(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut findings = Findings::new(&mut problems);
        let device = device(config, &mut findings);
        let topic = topic(config, &mut findings);
        check_port(config, &mut findings);
        check_times(config, &mut findings);
        let framer = frame::framer(&config.frame, &mut findings.under("frame"));
        let format = parser::format(&config.parser, &mut findings.under("parser"));
        let (readers, writers) = point::points(config, format.as_ref(), &mut findings);
        let init = init(config, &mut findings);
        let poll = poll(config, &mut findings);
        match (device, framer, format) {
            (Some(device), Some(framer), Some(format)) if problems.is_empty() => Ok(Self {
                name: config.name.clone(),
                device,
                topic,
                port: PortSettings::new(config),
                framer,
                gap: gap(config),
                decoder: Decoder { format, readers },
                writers,
                init,
                answer_timeout: match &poll {
                    Some(poll) => config.answer_timeout.min(poll.interval),
                    None => config.answer_timeout,
                },
                poll,
                interval: config.interval,
                silent_after: config.silent_after,
            }),
            _ => Err(problems),
        }
    }
}

impl PortSettings {
    fn new(config: &Config) -> Self {
        Self {
            path: config.port.clone(),
            baud: config.baud,
            parity: config.parity,
            data_bits: config.data_bits,
            stop_bits: config.stop_bits,
            flow_control: config.flow_control,
        }
    }
}

fn device(config: &Config, findings: &mut Findings<'_>) -> Option<DeviceName> {
    findings.demand(!config.name.is_empty(), "name", "is empty", "give the line a name");
    let key = if config.device.is_some() { "device" } else { "name" };
    match DeviceName::try_from(config.device_name().to_owned()) {
        Ok(name) => Some(name),
        Err(error) => {
            let remedy = if key == "name" { "change it, or give device" } else { "change it" };
            findings.add(key, error.to_string(), remedy);
            None
        }
    }
}

fn topic(config: &Config, findings: &mut Findings<'_>) -> String {
    let topic =
        config.topic.replace("{device}", config.device_name()).replace("{adapter}", &config.name);
    let legal = !topic.is_empty()
        && topic.len() <= TOPIC_BYTES_MAX
        && !topic.contains(|c: char| "+#{}".contains(c) || c.is_control());
    let remedy = "write a topic without wildcards; {device} and {adapter} stand for the names";
    findings.demand(legal, "topic", "is no topic to publish on", remedy);
    topic
}

fn check_port(config: &Config, findings: &mut Findings<'_>) {
    let remedy = "give the path of the port, such as one in /dev/serial/by-id";
    findings.demand(!config.port.is_empty(), "port", "is empty", remedy);
    let baud = (BAUD_MIN..=BAUD_MAX).contains(&config.baud);
    findings.demand(baud, "baud", "is no speed of a serial port", "use 9600, 19200, 115200 …");
    let data_bits = (5..=8).contains(&config.data_bits);
    findings.demand(data_bits, "data_bits", "is out of range", "use 5, 6, 7 or 8");
    let stop_bits = (1..=2).contains(&config.stop_bits);
    findings.demand(stop_bits, "stop_bits", "is out of range", "use 1 or 2");
}

fn check_times(config: &Config, findings: &mut Findings<'_>) {
    let positive = "use a time such as \"2s\"";
    let times = [
        (Some(config.answer_timeout), "answer_timeout"),
        (config.interval, "interval"),
        (config.silent_after, "silent_after"),
    ];
    for (time, key) in times {
        findings.demand(time.is_none_or(|time| !time.is_zero()), key, "is zero", positive);
    }
}

fn init(config: &Config, findings: &mut Findings<'_>) -> Vec<Vec<u8>> {
    let mut init = Vec::new();
    for (number, text) in config.init.iter().enumerate() {
        init.extend(bytes(text, &format!("init[{number}]"), findings));
    }
    init
}

fn poll(config: &Config, findings: &mut Findings<'_>) -> Option<Poll> {
    let text = config.poll_command.as_ref()?;
    findings.demand(!text.is_empty(), "poll_command", "is empty", "remove it to only listen");
    let interval = config.poll_interval;
    let long_enough = interval >= POLL_INTERVAL_MIN;
    findings.demand(long_enough, "poll_interval", "is too short", "use 10ms or more");
    Some(Poll { command: bytes(text, "poll_command", findings)?, interval })
}

/// The silence that matters to the framer: given, or usual for frames that end with silence.
fn gap(config: &Config) -> Option<Duration> {
    let usual = (config.frame.kind == FrameKind::IdleGap).then_some(frame::GAP_USUAL);
    config.frame.gap.or(usual)
}

/// The bytes that a text stands for.
pub(super) fn bytes(text: &str, key: &str, findings: &mut Findings<'_>) -> Option<Vec<u8>> {
    match escape::bytes(text) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            findings.add(key, error.to_string(), "write a backslash itself as \\\\");
            None
        }
    }
}
