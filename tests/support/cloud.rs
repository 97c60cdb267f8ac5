//! The cloud of the tests: mosquitto with mutual TLS, a network before it, a recorder behind it.

use std::{path::Path, time::Duration};

use super::{
    certificates::{Authority, Identity},
    mosquitto::Mosquitto,
    proxy::{Proxy, Weather},
    recorder::Recorder,
};

/// The cloud.
#[derive(Debug)]
pub struct Cloud {
    /// The broker.
    pub mosquitto: Mosquitto,
    /// The way there. It opens only once the recorder watches, so nothing arrives unseen.
    pub network: Proxy,
    /// What has arrived.
    pub recorder: Recorder,
    /// Who issues the certificates of the cloud and of its clients.
    pub authority: Authority,
}

impl Cloud {
    /// A cloud that is away.
    pub fn away(folder: &Path) -> Self {
        let authority = Authority::new(folder, "authority");
        let server = authority.server("cloud");
        let mosquitto = Mosquitto::cloud(folder, &server, &authority, "");
        let network = Proxy::start(mosquitto.tls.expect("a TLS port"), Weather::Down);
        let recorder = Recorder::start(mosquitto.plain);
        Self { mosquitto, network, recorder, authority }
    }

    /// A cloud that is there.
    pub fn here(folder: &Path) -> Self {
        let mut cloud = Self::away(folder);
        cloud.comes_back();
        cloud
    }

    /// The broker starts, the recorder subscribes, the network opens.
    #[track_caller]
    pub fn comes_back(&mut self) {
        self.mosquitto.start();
        self.recorder.wait_subscribed();
        self.network.set(Weather::Clear);
    }

    /// The network goes down, then everything the broker has taken reaches the recorder, then the
    /// broker is killed and forgets its sessions.
    #[track_caller]
    pub fn dies(&mut self) {
        self.network.set(Weather::StalledUpward);
        self.recorder.flush();
        self.mosquitto.kill();
        self.recorder.wait_disconnected();
        self.network.set(Weather::Down);
    }

    /// The gateway's `[uplink]`, with a certificate that the cloud takes and short pauses.
    pub fn uplink(&self) -> String {
        let identity = self.authority.client(super::GATEWAY_ID);
        self.uplink_as(&identity, "")
    }

    /// The same with any certificate, and further keys.
    pub fn uplink_as(&self, identity: &Identity, keys: &str) -> String {
        format!(
            "[uplink]\nurl = \"mqtts://localhost:{}\"\nca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n\
             backoff_min = \"100ms\"\nbackoff_max = \"500ms\"\n{keys}\n",
            self.network.address.port(),
            self.authority.cert.display(),
            identity.cert.display(),
            identity.key.display(),
        )
    }

    /// Waits until the gateway has made one more connection attempt than `before`.
    #[track_caller]
    pub fn wait_attempt(&self, before: u64, limit: Duration) {
        super::wait_until("the gateway tries to connect", limit, || {
            self.network.accepted() > before
        });
    }
}
