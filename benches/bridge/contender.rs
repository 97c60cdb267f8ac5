//! What is compared: a gateway between devices on a plain port and a cloud behind mutual TLS.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use clap::ValueEnum;

use crate::{
    Arguments,
    support::{Address, Authority, GATEWAY_ID, Gateway, Identity, Mosquitto, resident_bytes},
};

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// This gateway, every acknowledged message synced.
    Holdfast,
    /// mosquitto as a bridge, its queue unlimited and in memory.
    Mosquitto,
}

/// A contender.
#[derive(Debug)]
pub enum Contender {
    /// This gateway.
    Holdfast(Gateway),
    /// A mosquitto bridge.
    Mosquitto(Mosquitto),
}

impl Contender {
    /// A contender in `folder` whose cloud is at `cloud`; not started.
    pub fn new(
        kind: Kind,
        folder: &Path,
        arguments: &Arguments,
        cloud: SocketAddr,
        authority: &Authority,
    ) -> Self {
        let client = authority.client(GATEWAY_ID);
        let port = cloud.port();
        match kind {
            Kind::Holdfast => {
                let uplink = uplink(arguments, port, authority, &client);
                Self::Holdfast(Gateway::new(&folder.join("gateway"), &uplink))
            }
            Kind::Mosquitto => {
                let bridge = bridge(arguments, port, authority, &client);
                Self::Mosquitto(Mosquitto::with(folder, "bridge", &bridge))
            }
        }
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) {
        match self {
            Self::Holdfast(gateway) => gateway.start(),
            Self::Mosquitto(bridge) => bridge.start(),
        }
    }

    /// Where the devices connect.
    pub fn address(&self) -> Address {
        match self {
            Self::Holdfast(gateway) => gateway.address.clone(),
            Self::Mosquitto(bridge) => Address::new(bridge.plain),
        }
    }

    /// Resident memory now and its peak.
    pub fn resident_bytes(&self) -> (u64, u64) {
        match self {
            Self::Holdfast(gateway) => resident_bytes(gateway.id()),
            Self::Mosquitto(bridge) => {
                resident_bytes(bridge.process.as_ref().expect("mosquitto runs").id())
            }
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        match self {
            Self::Holdfast(gateway) => gateway.kill(),
            Self::Mosquitto(bridge) => bridge.kill(),
        }
    }
}

fn uplink(arguments: &Arguments, port: u16, authority: &Authority, client: &Identity) -> String {
    let mut uplink = format!(
        "[log]\nlevel = \"warn\"\n\n[uplink]\nurl = \"mqtts://localhost:{port}\"\n\
         ca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n\
         backoff_min = \"500ms\"\nbackoff_max = \"1s\"\n",
        authority.cert.display(),
        client.cert.display(),
        client.key.display(),
    );
    if arguments.inflight > 0 {
        writeln!(uplink, "inflight_max = {}", arguments.inflight)
            .expect("a String takes everything");
    }
    uplink
}

/// Notifications and the unsubscription attempt are off because Holdfast sends neither.
fn bridge(arguments: &Arguments, port: u16, authority: &Authority, client: &Identity) -> String {
    format!(
        "max_inflight_messages {}\nconnection cloud\naddress localhost:{port}\n\
         remote_clientid {GATEWAY_ID}\n\
         bridge_cafile {}\nbridge_certfile {}\nbridge_keyfile {}\n\
         topic sensors/# out 1 \"\" {GATEWAY_ID}/\ncleansession false\nrestart_timeout 1\n\
         notifications false\nbridge_attempt_unsubscribe false\n",
        arguments.inflight,
        authority.cert.display(),
        client.cert.display(),
        client.key.display(),
    )
}
