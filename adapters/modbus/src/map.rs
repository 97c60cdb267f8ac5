//! What a bus runs on: the configuration, checked and with everything worked out.

use std::time::Duration;

use holdfast_adapter_api::DeviceName;

use crate::{
    plan::{Batch, Limits, Span},
    value::Codec,
};

/// The devices of one bus.
#[derive(Debug, Clone)]
pub(crate) struct BusMap {
    pub(crate) devices: Vec<DeviceMap>,
    pub(crate) limits: Limits,
}

/// One device.
#[derive(Debug, Clone)]
pub(crate) struct DeviceMap {
    pub(crate) name: DeviceName,
    pub(crate) unit: u8,
    pub(crate) poll_interval: Duration,
    /// Expanded.
    pub(crate) topic: String,
    pub(crate) points: Vec<PointMap>,
    /// Where each point lies, by its index.
    pub(crate) spans: Vec<Span>,
    /// The reads that fetch all points.
    pub(crate) batches: Vec<Batch>,
}

/// One point.
#[derive(Debug, Clone)]
pub(crate) struct PointMap {
    pub(crate) name: String,
    pub(crate) unit: Option<String>,
    pub(crate) span: Span,
    pub(crate) codec: Codec,
    pub(crate) writable: bool,
    /// The point, by index, that holds a power of ten to scale with.
    pub(crate) scale_point: Option<usize>,
}
