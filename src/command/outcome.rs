//! What became of a command, as it is kept and as it is published.

use holdfast_adapter_api::{Outcome, Value};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Moment, Order};

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Done,
    Delivered,
    Expired,
    Rejected,
    Failed,
    Unknown,
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readback: Option<Value>,
    pub finished: Moment,
}

impl Report {
    pub(super) fn new(status: Status, reason: Option<&str>, finished: Moment) -> Self {
        Self { status, reason: reason.map(str::to_owned), readback: None, finished }
    }

    /// The report of an adapter's outcome.
    pub(super) fn of(outcome: Outcome, finished: Moment) -> Self {
        let (status, reason, readback) = match outcome {
            Outcome::Done { readback } => (Status::Done, None, readback),
            Outcome::Expired => (Status::Expired, None, None),
            Outcome::Rejected { reason } => (Status::Rejected, Some(reason), None),
            Outcome::Failed { reason } => (Status::Failed, Some(reason), None),
        };
        Self { status, reason, readback, finished }
    }
}

/// What an outcome says of the command itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Subject {
    pub id: Option<String>,
    pub device: Option<String>,
    pub point: Option<String>,
    pub topic: Option<String>,
}

impl Subject {
    /// What is known of a command that could be read and is not taken in.
    pub(super) fn of(entry: &Entry) -> Self {
        let mut refused = Self { id: Some(entry.id.clone()), ..Self::default() };
        match &entry.order {
            Order::Write { device, point, .. } => {
                refused.device = Some(device.to_string());
                refused.point = Some(point.clone());
            }
            Order::Publish { topic, .. } => refused.topic = Some(topic.clone()),
        }
        refused
    }
}

/// The outcome as it is published.
#[derive(Debug, Serialize)]
struct Published<'a> {
    id: Option<&'a str>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readback: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    received: String,
    finished: String,
    ts_trusted: bool,
    gateway: &'a str,
}

/// The message about a command of the inbox.
pub(super) fn of_entry(entry: &Entry, report: &Report, gateway: &str) -> Vec<u8> {
    of(&Subject::of(entry), report, entry.received, gateway)
}

/// The message about a command that never came into the inbox.
pub(super) fn of_refused(refused: &Subject, report: &Report, gateway: &str) -> Vec<u8> {
    of(refused, report, report.finished, gateway)
}

fn of(known: &Subject, report: &Report, received: Moment, gateway: &str) -> Vec<u8> {
    let published = Published {
        id: known.id.as_deref(),
        status: report.status,
        reason: report.reason.as_deref(),
        readback: report.readback.as_ref(),
        device: known.device.as_deref(),
        point: known.point.as_deref(),
        topic: known.topic.as_deref(),
        received: received.to_rfc3339(),
        finished: report.finished.to_rfc3339(),
        ts_trusted: received.wall_trusted && report.finished.wall_trusted,
        gateway,
    };
    serde_json::to_vec(&published).expect("an outcome holds nothing that JSON cannot")
}
