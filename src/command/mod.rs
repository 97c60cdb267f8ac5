//! Commands from the cloud: kept on disk, carried out in time or not at all, always reported.
//!
//! ```text
//! cloud → uplink → accept: parse, deduplicate, persist → acknowledged to the cloud
//!                    lanes: one per device, one for local topics → adapter or local subscribers
//!                      outcome: persisted, submitted at the door, delivered → command removed
//! ```
//!
//! # The form of a command
//!
//! A JSON object, to write a point of a device or to publish on a local topic:
//!
//! ```json
//! {"id": "c-17", "device": "meter-1", "point": "setpoint", "value": 42, "expires_in_s": 30}
//! {"id": "c-18", "topic": "devices/pump/set", "payload": {"on": true}, "qos": 1, "retain": false}
//! ```
//!
//! | Key | Meaning |
//! |---|---|
//! | `id` | 1 to 128 bytes without control characters; the outcome carries it back |
//! | `device`, `point`, `value` | what to write: a boolean, a number or a text |
//! | `topic`, `payload` | what to publish: a string goes out as its bytes, anything else as JSON text (keys sorted, so send a string where bytes matter) |
//! | `qos`, `retain` | of the local publish; 1 and false if left out |
//! | `issued_at` | RFC 3339; when its sender gave the order |
//! | `expires_at` | RFC 3339; not carried out from then on |
//! | `expires_in_s` | seconds from `issued_at`, and never longer than that from its arrival |
//!
//! Any other key is an error: a misspelt expiry must not be passed over. An `id` may be left out
//! where `issued_at` is given; it is then made of a hash of topic and payload, which tells a
//! repeated delivery from a second order. With neither, the two cannot be told apart, and the
//! command is rejected.
//!
//! # When a command is stale
//!
//! The earliest of these counts, and `[commands] expires_after` stands in for `expires_in_s`
//! where neither that nor `expires_at` is given:
//!
//! - `expires_at`, and `issued_at` + `expires_in_s`, by the wall clock. While the clock cannot be
//!   believed the command is held, for `expires_after` at most; then it is rejected with
//!   `clock_untrusted`.
//! - arrival + `expires_in_s`, by the clock that counts from boot. Across a reboot the wall clock
//!   must have been right both times; otherwise the command has expired.
//!
//! A command that waited at the cloud through an outage shows its age only by `issued_at` or
//! `expires_at`; senders should give one of them.
//!
//! # How often a command is carried out
//!
//! A write to a device at most once: the command is marked as started, on disk, before it is
//! handed to the adapter, and one that is found started after a restart is reported as `unknown`
//! and not repeated. A local publish at least once within its time: after a crash between the
//! delivery and its record it is repeated. Outcomes are reported at least once. An id is
//! remembered while its command waits, and then until 1,024 others have come after it.
//!
//! # The outcome
//!
//! ```json
//! {"id": "c-17", "status": "done", "readback": 42, "device": "meter-1", "point": "setpoint",
//!  "received": "…", "finished": "…", "ts_trusted": true, "gateway": "gw-01"}
//! ```
//!
//! `status`: `done` (the device confirmed), `delivered` (local subscribers were there, or the
//! message was retained), `expired`, `rejected` (never to be carried out as it stands), `failed`
//! (tried; the device refused or did not answer), `unknown` (may have been carried out). Beside
//! it, where there is one: `reason`, which begins with a word to branch on, `readback`, `device`,
//! `point`, `topic`.
//!
//! # What is on disk
//!
//! In the state store: table `commands.inbox`, key number of arrival (u64 BE), value an
//! [`entry::Entry`] as JSON; table `commands.seen`, key number of completion (u64 BE), value the
//! id.

mod counts;
mod deadline;
mod driver;
mod entry;
mod inbox;
mod lanes;
mod outcome;
mod parse;
mod restore;
mod sink;

#[cfg(test)]
mod tests;

pub use counts::CommandCounts;
pub use driver::Commands;
pub use sink::{CommandSink, Persisting, SinkError};
