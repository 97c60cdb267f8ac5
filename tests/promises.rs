//! Every promise of the gateway, against real peers: one file per promise.
//!
//! Tests whose names begin with `heavy_` keep the machine busy; they run one at a time.

mod support;

mod acknowledged_is_durable;
mod adapters;
mod cli;
mod cloud_restart;
mod commands;
mod damage;
mod doors;
mod encryption_at_rest;
mod full_disk;
mod local_side;
mod memory;
mod monitoring;
mod queue_tools;
mod refused_certificate;
mod shipped_files;
mod support_itself;
mod uplink_stall;
