//! A scrape of the gateway's metrics, through a parser that is not ours.

use std::{collections::BTreeMap, net::SocketAddr};

use super::python::{expect_success, script};

/// The samples of one scrape.
#[derive(Debug)]
pub struct Scrape(Vec<(String, BTreeMap<String, String>, serde_json::Value)>);

impl Scrape {
    /// Scrapes; panics unless the answer is well formed.
    #[track_caller]
    pub fn of(server: SocketAddr) -> Self {
        let mut command = script("scrape.py");
        command.arg(server.ip().to_string()).arg(server.port().to_string());
        let printed = expect_success(command);
        Self(serde_json::from_str(&printed).expect("a list of samples"))
    }

    /// The value of one series, infinity included; none where there is no such series.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (_, _, value) = self.0.iter().find(|(found, with, _)| {
            found == name
                && with.len() == labels.len()
                && labels.iter().all(|(label, value)| with.get(*label).is_some_and(|v| v == value))
        })?;
        Some(value.as_f64().unwrap_or(f64::INFINITY))
    }

    /// A count of one stream; panics where it is not there.
    #[track_caller]
    pub fn count(&self, name: &str, stream: &str) -> u64 {
        let name = format!("holdfast_queue_{name}");
        let value = self.value(&name, &[("stream", stream)]);
        value.unwrap_or_else(|| panic!("{name} of {stream} is not there: {self:#?}")) as u64
    }

    /// Whether a stream is in this condition.
    pub fn is_in_condition(&self, stream: &str, condition: &str) -> bool {
        let labels = [("stream", stream), ("condition", condition)];
        self.value("holdfast_queue_condition", &labels) == Some(1.0)
    }
}
