//! Looking into a queue's folder without locking it or changing anything in it.
//!
//! Works on the folder of a dead gateway, on a copy, and on that of a running one, of which it
//! shows what is on disk at that moment. A running gateway writes while it is looked at, uses
//! files again and removes them; so what looks wrong is looked at again, and only what is wrong
//! both times is reported. A copy of a running gateway's folder stays as inconsistent as the
//! copying made it: the youngest records may look damaged or torn in it.

mod files;
mod folder;
mod ledger;
mod overview;
mod records;
mod verify;

pub use files::{OtherFile, Purpose, SegmentFile, StreamFiles};
pub use folder::{Folder, InspectError};
pub use overview::StreamOverview;
pub use records::{Records, Stored};
pub use verify::Report;
