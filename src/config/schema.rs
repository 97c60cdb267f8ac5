//! The whole configuration, and the keys of each of its tables.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Commands, Gateway, Limits, Listener, ListenerTls, Log, Queue, Route, Stream, Telemetry, Uplink,
    User,
    fields::fields,
    stream::{EVENTS, TELEMETRY},
};

/// The whole configuration of a gateway.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who this gateway is and where it keeps its data.
    pub gateway: Gateway,
    /// How it logs.
    pub log: Log,
    /// What it tells of itself.
    pub telemetry: Telemetry,
    /// The doors of the local broker.
    pub listener: Vec<Listener>,
    /// Devices that authenticate with user name and password.
    pub user: Vec<User>,
    /// The bounds of the local broker.
    pub limits: Limits,
    /// The connection to the cloud; a gateway without one only queues.
    pub uplink: Option<Uplink>,
    /// How the queue is kept on disk.
    pub queue: Queue,
    /// The streams in which messages go up, beyond or instead of the built-in ones.
    pub stream: Vec<Stream>,
    /// Which topic goes up in which stream.
    pub route: Vec<Route>,
    /// Commands from the cloud.
    pub commands: Commands,
    /// Modbus buses and TCP devices.
    pub modbus: Vec<holdfast_modbus::Config>,
    /// Serial lines that are not Modbus.
    pub serial: Vec<holdfast_serial::Config>,
}

impl Config {
    /// Where the queue lives.
    pub fn queue_dir(&self) -> PathBuf {
        self.gateway.data_dir.join("queue")
    }

    /// Where the state store lives.
    pub fn state_dir(&self) -> PathBuf {
        self.gateway.data_dir.join("state")
    }

    /// All streams: those configured, and the built-in ones that are not.
    pub fn streams(&self) -> Vec<Stream> {
        let configured = |name: &str| self.stream.iter().any(|stream| stream.name == name);
        let mut streams = self.stream.clone();
        if !configured(TELEMETRY) {
            streams.push(Stream::with_defaults(TELEMETRY));
        }
        if !configured(EVENTS) {
            streams.push(Stream { priority: 9, ..Stream::with_defaults(EVENTS) });
        }
        streams
    }

    /// The stream of this name; one that is not configured has every default.
    pub fn stream(&self, name: &str) -> Stream {
        let mut streams = self.streams().into_iter();
        streams.find(|stream| stream.name == name).unwrap_or_else(|| Stream::with_defaults(name))
    }

    /// Makes every relative path one below `base`, the folder of the main file.
    pub(super) fn resolve(&mut self, base: &Path) {
        self.gateway.data_dir = base.join(&self.gateway.data_dir);
        for tls in self.listener.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
            tls.cert = base.join(&tls.cert);
            tls.key = base.join(&tls.key);
            tls.client_ca = tls.client_ca.as_ref().map(|path| base.join(path));
        }
        self.queue.key_file = self.queue.key_file.as_ref().map(|path| base.join(path));
        if let Some(uplink) = &mut self.uplink {
            for path in
                [&mut uplink.ca, &mut uplink.cert, &mut uplink.key, &mut uplink.password_file]
            {
                *path = path.as_ref().map(|path| base.join(path));
            }
        }
    }
}

/// The sections, in the order in which the reference file shows them.
pub(super) const SECTIONS: [&str; 13] = [
    "gateway",
    "log",
    "telemetry",
    "listener",
    "user",
    "limits",
    "uplink",
    "queue",
    "stream",
    "route",
    "commands",
    "modbus",
    "serial",
];

/// The known keys of every table, by the table's path without indices; the root is "".
pub(super) fn tables() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("", SECTIONS.as_slice()),
        ("gateway", fields::<Gateway>()),
        ("log", fields::<Log>()),
        ("telemetry", fields::<Telemetry>()),
        ("listener", fields::<Listener>()),
        ("listener.tls", fields::<ListenerTls>()),
        ("user", fields::<User>()),
        ("limits", fields::<Limits>()),
        ("uplink", fields::<Uplink>()),
        ("queue", fields::<Queue>()),
        ("stream", fields::<Stream>()),
        ("route", fields::<Route>()),
        ("commands", fields::<Commands>()),
        ("modbus", fields::<holdfast_modbus::Config>()),
        ("modbus.device", fields::<holdfast_modbus::Device>()),
        ("modbus.device.point", fields::<holdfast_modbus::Point>()),
        ("serial", fields::<holdfast_serial::Config>()),
        ("serial.frame", fields::<holdfast_serial::Frame>()),
        ("serial.parser", fields::<holdfast_serial::Parser>()),
        ("serial.point", fields::<holdfast_serial::PointConfig>()),
        ("serial.point.require", fields::<holdfast_serial::Require>()),
    ])
}

/// What to do about an unknown key of a table.
pub(super) fn instead_of(table: &str, unknown: &str) -> String {
    let tables = tables();
    let known = tables.get(table).copied().unwrap_or_default();
    if let Some(meant) = nearest(known, unknown) {
        return format!("did you mean `{meant}`?");
    }
    let takes = match table {
        "" => "the sections are".to_owned(),
        _ => format!("[{table}] takes"),
    };
    let list = format!("{takes} {}", known.join(", "));
    let elsewhere = tables.iter().filter(|(at, keys)| !at.contains('.') && keys.contains(&unknown));
    match elsewhere.map(|(other, _)| *other).collect::<Vec<_>>()[..] {
        [other] if !other.is_empty() => format!("it is a key of [{other}]; {list}"),
        _ => format!("remove it; {list}"),
    }
}

/// The known key nearest to an unknown one, if any is near enough to be meant.
fn nearest(known: &[&'static str], unknown: &str) -> Option<&'static str> {
    /// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion would only mislead.
    const LIKENESS_MIN: f64 = 0.75;
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(unknown, known), *known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_knows_its_keys() {
        for (table, keys) in tables() {
            assert!(!keys.is_empty(), "[{table}]");
        }
        assert_eq!(tables()["gateway"], ["id", "data_dir"]);
    }

    #[test]
    fn the_nearest_key_is_suggested_only_when_it_is_near() {
        assert_eq!(instead_of("uplink", "keepalive"), "did you mean `keep_alive`?");
        assert_eq!(instead_of("", "routes"), "did you mean `route`?");
        assert!(instead_of("uplink", "zzz").starts_with("remove it; [uplink] takes url, ca, "));
    }

    #[test]
    fn a_key_of_another_table_is_sent_there_and_the_keys_that_are_known_are_listed() {
        assert_eq!(
            instead_of("queue", "bytes_max"),
            "it is a key of [stream]; [queue] takes key_file, commit_interval"
        );
        // There are many of this name.
        assert!(instead_of("queue", "name").starts_with("remove it; "));
        assert!(instead_of("", "zzz").starts_with("remove it; the sections are gateway, log, "));
    }
}
