//! Serial lines that are not Modbus: weather stations, anemometers, GPS receivers, scales.
//!
//! Bytes become frames ([`frame`]), frames become points ([`decode`]); neither does I/O, and
//! neither can be made to panic by what a line carries. Around them [`Serial`] owns the port:
//! it opens it, opens it again after an unplug, polls, writes commands, and hands readings on.
//!
//! `devices/` has a configuration for each of several common devices, tested against what they
//! send.
//!
//! What is never done: a damaged frame never becomes a value, two frames are never joined
//! across a gap, and nothing is dropped without a counter.

mod batch;
mod config;
mod counters;
mod decode;
mod escape;
mod frame;
mod line;
mod plan;
mod port;
mod serial;
mod session;
mod write;

pub use config::{
    ByteOrder, Check, Config, FlowControl, Frame, FrameKind, Parity, Parser, ParserKind,
    PointConfig, PointType, Require,
};
pub use holdfast_adapter_api::Problem;
pub use serial::Serial;
