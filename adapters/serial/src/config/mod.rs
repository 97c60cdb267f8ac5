//! The schema of `[[serial]]`.

mod frame;
mod line;
mod parser;
mod point;

pub use frame::{ByteOrder, Check, Frame, FrameKind};
pub use line::{Config, FlowControl, Parity};
pub use parser::{Parser, ParserKind};
pub use point::{PointConfig, PointType, Require};
