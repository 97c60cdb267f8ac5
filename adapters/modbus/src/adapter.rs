//! The adapter that the gateway runs.

use std::sync::Arc;

use holdfast_adapter_api::{Adapter, AdapterFuture, AdapterIo, Counters, DeviceName, Problem};

use crate::{
    bus::Master,
    config::{Config, compile},
    line::Endpoint,
};

/// One Modbus bus or TCP connection.
#[derive(Debug)]
pub struct Modbus {
    name: String,
    master: Master,
}

impl Modbus {
    /// An adapter for a configuration, or everything that is wrong with it.
    pub fn new(config: &Config) -> Result<Self, Vec<Problem>> {
        let map = compile(config)?;
        let opener = Box::new(Endpoint::of(config));
        Ok(Self { name: config.name.clone(), master: Master::new(config, map, opener) })
    }
}

impl Adapter for Modbus {
    fn name(&self) -> &str {
        &self.name
    }

    fn devices(&self) -> Vec<DeviceName> {
        self.master.devices()
    }

    fn counters(&self) -> Arc<dyn Counters> {
        self.master.tallies()
    }

    /// A port that is missing or a connection that fails ends no run: the adapter reports its
    /// devices as offline and opens the line again with a growing pause.
    fn run<'a>(&'a mut self, io: &'a mut AdapterIo) -> AdapterFuture<'a> {
        Box::pin(self.master.run(io))
    }
}
