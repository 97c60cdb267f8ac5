//! Commands to a device and what became of them.

use std::time::Instant;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::{DeviceName, Value};

/// An order to write one point of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The id its sender gave it; the outcome carries it back.
    pub id: String,
    /// The device to write to.
    pub device: DeviceName,
    /// The point to write.
    pub point: String,
    /// The value, in the point's unit (after scale and offset).
    pub value: Value,
    /// After this instant the command must not be carried out any more. Look at it last thing
    /// before the write goes on the wire.
    pub deadline: Instant,
}

/// A command with the place where its outcome is awaited.
#[derive(Debug)]
pub struct PendingCommand {
    /// The command.
    pub command: Command,
    /// Where the outcome goes, exactly once.
    pub reply: oneshot::Sender<Outcome>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// The device confirmed the write.
    Done {
        /// The point's value as read back after the write, where the device allows it.
        #[serde(skip_serializing_if = "Option::is_none")]
        readback: Option<Value>,
    },
    /// Its deadline had passed; nothing was written.
    Expired,
    /// It can never be carried out as it stands (no such point, not writable, out of range);
    /// nothing was written.
    Rejected {
        /// What is wrong with it.
        reason: String,
    },
    /// It was tried, and the device refused or did not answer. In the latter case the write may
    /// have happened.
    Failed {
        /// What happened.
        reason: String,
    },
}
