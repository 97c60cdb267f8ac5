//! `holdfast demo`: the gateway between real sensors and a real cloud, on one machine, through an
//! outage and a kill.
//!
//! Everything is real but the place: the sensors and the cloud speak MQTT over mutual TLS, the
//! Modbus devices answer on a pseudo terminal and a socket, and the gateway is a process of its
//! own (`holdfast run`), so that SIGKILL means what it says. What arrived at the cloud is taken
//! from the wire (see [`tap`]), and the run ends with the gateway's ledger held against it.
//!
//! The demo sets up no logging, and whoever calls it should not either: the broker inside the
//! cloud logs every connection it loses.

mod certificates;
mod check;
mod cloud;
mod folder;
mod front;
mod gateway_process;
mod operator;
mod outbox;
mod panel;
mod plant;
mod recorder;
mod run;
mod screen;
mod script;
mod sensor;
mod site;
mod stage;
mod tap;

pub use run::{DEFAULT_SAMPLES_PER_SECOND, Options, Verdict, run};
