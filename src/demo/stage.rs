//! Everything that takes part in a run: the cloud, the gateway, its devices.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use rustls::ClientConfig;
use tokio::sync::watch;

use super::{
    certificates::{Authority, Role},
    cloud::Cloud,
    front::Line,
    gateway_process::{GatewayProcess, Site},
    panel::Panel,
    plant::Plant,
    sensor::{Model, Sensor},
    site,
};

/// The gateway's id.
pub const GATEWAY: &str = "demo-gateway";
/// The sensors' names.
pub const SENSORS: [&str; 3] = ["weather-1", "weather-2", "weather-3"];

/// Everything that takes part.
#[derive(Debug)]
pub struct Stage {
    /// The embedded cloud.
    pub cloud: Cloud,
    /// The Modbus devices.
    pub plant: Plant,
    /// The gateway's files.
    pub site: Site,
    /// The gateway, while it runs.
    pub gateway: Option<GatewayProcess>,
    /// The sensors, from when they are started.
    pub sensors: Vec<Sensor>,
    /// The operator's certificate for the cloud.
    pub operator: Arc<ClientConfig>,
    line: Line,
    door: watch::Sender<Option<SocketAddr>>,
    models: Vec<Model>,
}

impl Stage {
    /// Makes the certificates, starts the cloud and the devices, writes the gateway's
    /// configuration. The gateway and the sensors are not running yet.
    pub async fn set_up(folder: &Path, program: PathBuf, rate: u32) -> anyhow::Result<Self> {
        let cloud_authority = Authority::new("Holdfast demo: cloud")?;
        let site_authority = Authority::new("Holdfast demo: site")?;
        let cloud_identity = cloud_authority.issue("cloud", Role::Server)?;
        let uplink = cloud_authority.issue(GATEWAY, Role::Client)?;
        let door = site_authority.issue(GATEWAY, Role::Server)?;
        let operator = cloud_authority.issue("operator", Role::Client)?;
        let write = || {
            cloud_authority.write(folder, "cloud-ca")?;
            site_authority.write(folder, "site-ca")?;
            uplink.write(folder, "uplink")?;
            door.write(folder, "door")
        };
        write().context("cannot write the certificates")?;
        let models = SENSORS.map(|name| {
            let tls = site_authority.issue(name, Role::Client)?.client_config(&site_authority)?;
            anyhow::Ok(Model { name: name.to_owned(), rate, tls: Arc::new(tls) })
        });

        let cloud = Cloud::start(cloud_identity.server_config(&cloud_authority)?, GATEWAY).await?;
        let plant = Plant::start().await?;
        let site = Site {
            program,
            config: folder.join("holdfast.toml"),
            data_dir: folder.join("data"),
            log: folder.join("gateway.log"),
        };
        let toml = site::configuration(folder, GATEWAY, cloud.address(), &plant);
        std::fs::write(&site.config, toml).context("cannot write the gateway's configuration")?;
        Ok(Self {
            cloud,
            plant,
            site,
            gateway: None,
            sensors: Vec::new(),
            operator: Arc::new(operator.client_config(&cloud_authority)?),
            line: Line::Open,
            door: watch::Sender::new(None),
            models: models.into_iter().collect::<anyhow::Result<_>>()?,
        })
    }

    /// Starts the gateway and tells the sensors where its door is.
    pub async fn start_gateway(&mut self) -> anyhow::Result<()> {
        let gateway = self.site.start().await?;
        let door = gateway.listeners().first().context("the gateway has no door")?;
        self.door.send_replace(Some(*door));
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Starts the sensors.
    pub fn start_sensors(&mut self) {
        let start = |model| Sensor::start(model, self.door.subscribe());
        self.sensors = self.models.drain(..).map(start).collect();
    }

    /// Cuts or mends the line to the cloud.
    pub fn set_line(&mut self, line: Line) {
        self.line = line;
        self.cloud.set_line(line);
    }

    /// Every sensor's acknowledged samples.
    pub fn acknowledged(&self) -> BTreeMap<String, Vec<u64>> {
        let of = |sensor: &Sensor| (sensor.name().to_owned(), sensor.acknowledged());
        self.sensors.iter().map(of).collect()
    }

    /// How many of these samples are not at the cloud yet.
    pub fn missing(&self, acknowledged: &BTreeMap<String, Vec<u64>>) -> u64 {
        let missing = |(source, numbers): (&String, &Vec<u64>)| {
            let arrived = self.cloud.recorder().samples(source);
            numbers.iter().filter(|number| !arrived.contains(number)).count() as u64
        };
        acknowledged.iter().map(missing).sum()
    }

    /// Messages that arrived at the cloud, duplicates included.
    pub fn arrived(&self) -> u64 {
        self.cloud.recorder().counts().values().sum()
    }

    /// An error if the gateway ended by itself.
    pub fn expect_gateway(&mut self) -> anyhow::Result<()> {
        Ok(self.gateway.as_mut().map_or(Ok(()), GatewayProcess::expect_alive)?)
    }

    /// How things stand.
    pub fn panel(&self) -> Panel {
        let acknowledged = self.acknowledged();
        Panel {
            line: Some(self.line),
            connected: self.cloud.recorder().is_subscribed(),
            gateway: self.gateway.as_ref().map(GatewayProcess::pid),
            acknowledged: acknowledged.values().map(|numbers| numbers.len() as u64).sum(),
            held: self.sensors.iter().map(|sensor| sensor.held_and_skipped().0).sum(),
            arrived: self.cloud.recorder().counts().into_iter().collect(),
            waiting: self.missing(&acknowledged),
        }
    }
}
