//! The export format: JSON lines, version 1.
//!
//! ```text
//! {"format":"holdfast-queue-export","version":1,"exported":"2026-11-23T15:00:00.000Z",
//!  "by":"holdfast 0.1.0","settled_too":false,
//!  "streams":[{"stream":"telemetry","queued":2,"next_sequence":19}]}
//! {"stream":"telemetry","sequence":17,"segment":"00000001e8e64570","source":"pump-1",
//!  "topic":"gw-01/sensors/pump-1","time":"2026-11-23T14:00:00.120Z",
//!  "stamp":{"boot":"0123456789abcdef","monotonic_ms":5120,"unix_ms":1795442400120,
//!  "trusted":true},"payload":"21.5"}
//! {"stream":"telemetry","sequence":18, … ,"payload_base64":"/wA="}
//! {"end":"holdfast-queue-export","records":2,"streams":{"telemetry":2},"damaged":0,
//!  "crc32c":"1a2b3c4d"}
//! ```
//!
//! Each object is one line, ended by a line feed; here they are broken to fit. No key is left out
//! but those that are said to be optional, and there are no others.
//!
//! - The first line, the header, has the streams whose records may follow, what waited in each,
//!   and its next sequence. `settled_too` is true if the export holds more than what waited.
//! - A record's `stream`, `segment` and `sequence` name it among the records of all queues;
//!   `segment` is the id of the file that held it, 16 hexadecimal digits. Within a stream,
//!   sequences rise.
//! - `stamp` is when it was taken in, on both clocks: `unix_ms` is the wall clock, which was
//!   known to be right if `trusted`; `monotonic_ms` counts from the boot of the machine that is
//!   called `boot`, 16 hexadecimal digits. `time` says the same as `unix_ms`, in RFC 3339.
//! - The payload is `payload` if it is UTF-8, else `payload_base64` (standard alphabet, padded).
//! - `"settled":true`, optional, marks a record that does not wait any more. An import passes
//!   over it.
//! - The last line, the trailer, counts the records, all and by stream, and those that were
//!   queued and could not be read. `crc32c` is the checksum, 8 hexadecimal digits, of every byte
//!   before the trailer. An export without a trailer that agrees was cut off or changed.

mod line;
mod reader;
mod writer;

pub(super) use line::{HeaderStream, RecordLine};
pub(super) use reader::{Entry, Export, ReadError};
pub(super) use writer::Writer;
