//! What a stream's folder holds, worked out without changing anything in it.
//!
//! The accounts are complete at certain points: in the cursor (as of its durable end) and in
//! every segment's header (as of its base). Recovery starts from the latest such point and counts
//! the records behind it, so that normally only the last segment is read.

mod assess;
mod files;
mod readable;
mod rebuild;
mod report;

pub(super) use assess::{Assessment, SPARE_SUFFIX, assess};
pub use report::Recovery;
pub(super) use report::header_remark;
