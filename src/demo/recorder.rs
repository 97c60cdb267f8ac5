//! What arrived at the cloud, message by message.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rumqttc::mqttbytes::v4::Publish;
use serde::Deserialize;
use serde_json::Value;

use super::tap::Overheard;

/// Arrivals kept; a run has a few thousand. Beyond this they are counted as unreadable, so that
/// the run fails instead of passing on half the evidence.
const ARRIVALS_MAX: usize = 2_000_000;
/// Unreadable messages of which the text is kept.
const UNREADABLE_KEPT_MAX: usize = 5;
/// Characters kept of such a message.
const UNREADABLE_CHARS_MAX: usize = 200;

/// One message that arrived: an envelope that the gateway put around a device's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The message's stable id, given by the queue.
    pub id: String,
    /// The number that the device itself gave its message.
    pub sample: Option<u64>,
}

/// Everything that arrived.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// By source, in order of arrival, duplicates included.
    pub arrivals: BTreeMap<String, Vec<Arrival>>,
    /// The outcomes of commands, in order of arrival.
    pub outcomes: Vec<Value>,
    /// Messages that are neither.
    pub unreadable: u64,
    /// The first of them.
    pub unreadable_examples: Vec<String>,
    /// The gateway's connections over all the run.
    pub connections: u64,
}

/// Takes down what arrives; shared by the connections.
#[derive(Debug)]
pub struct Recorder {
    outcome_topic: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: Records,
    kept: usize,
    connected: u64,
    subscribed: bool,
}

/// The gateway's connection, as long as this lives.
#[derive(Debug)]
pub struct Connected<'a>(&'a Recorder);

#[derive(Deserialize)]
struct Envelope {
    id: String,
    source: String,
    payload: Option<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    seq: Option<u64>,
}

impl Recorder {
    /// A recorder to which messages on `outcome_topic` are outcomes of commands.
    pub fn new(outcome_topic: String) -> Self {
        Self { outcome_topic, state: Mutex::default() }
    }

    /// Takes down what the tap heard.
    pub fn note(&self, overheard: Vec<Overheard>) {
        let mut state = self.lock();
        for heard in overheard {
            match heard {
                Overheard::Subscribed => state.subscribed = true,
                Overheard::Arrived(publish) => state.arrived(&publish, &self.outcome_topic),
            }
        }
    }

    /// Notes that the gateway is connected, for as long as the answer is kept.
    pub fn connected(&self) -> Connected<'_> {
        let mut state = self.lock();
        state.records.connections += 1;
        state.connected += 1;
        state.subscribed = false;
        Connected(self)
    }

    /// Whether the gateway is connected and will get what is published to it.
    pub fn is_subscribed(&self) -> bool {
        let state = self.lock();
        state.connected > 0 && state.subscribed
    }

    /// Messages that arrived, per source, duplicates included.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let state = self.lock();
        let count = |(source, all): (&String, &Vec<_>)| (source.clone(), all.len() as u64);
        state.records.arrivals.iter().map(count).collect()
    }

    /// How many different samples of this source arrived.
    pub fn samples(&self, source: &str) -> HashSet<u64> {
        let state = self.lock();
        let arrivals = state.records.arrivals.get(source).into_iter().flatten();
        arrivals.filter_map(|arrival| arrival.sample).collect()
    }

    /// The outcome of this command, if it arrived.
    pub fn outcome(&self, command: &str) -> Option<Value> {
        self.lock().records.outcomes.iter().find(|outcome| outcome["id"] == command).cloned()
    }

    /// A copy of everything.
    pub fn records(&self) -> Records {
        self.lock().records.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.lock().connected -= 1;
    }
}

impl State {
    fn arrived(&mut self, publish: &Publish, outcome_topic: &str) {
        if self.kept < ARRIVALS_MAX && self.records.take(publish, outcome_topic) {
            self.kept += 1;
            return;
        }
        self.records.unreadable += 1;
        if self.records.unreadable_examples.len() < UNREADABLE_KEPT_MAX {
            let text = String::from_utf8_lossy(&publish.payload);
            let text: String = text.chars().take(UNREADABLE_CHARS_MAX).collect();
            self.records.unreadable_examples.push(format!("{}: {text}", publish.topic));
        }
    }
}

impl Records {
    /// Takes down one message; false if it cannot be read.
    fn take(&mut self, publish: &Publish, outcome_topic: &str) -> bool {
        if publish.topic == outcome_topic {
            let outcome = serde_json::from_slice(&publish.payload);
            return outcome.map(|outcome| self.outcomes.push(outcome)).is_ok();
        }
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&publish.payload) else {
            return false;
        };
        let sample = envelope.payload.and_then(|payload| payload.seq);
        self.arrivals.entry(envelope.source).or_default().push(Arrival { id: envelope.id, sample });
        true
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::QoS;

    use super::*;

    fn arrived(topic: &str, payload: &str) -> Overheard {
        Overheard::Arrived(Publish::new(topic, QoS::AtLeastOnce, payload))
    }

    fn recorder() -> Recorder {
        Recorder::new("gw/outcomes".to_owned())
    }

    #[test]
    fn arrivals_are_kept_by_source_in_order_with_the_gateways_id_and_the_devices_number() {
        let recorder = recorder();
        let envelope = |id: &str, seq: u64| {
            let payload = format!(r#"{{"seq":{seq},"t":1.5}}"#);
            arrived("gw/x", &format!(r#"{{"id":"{id}","source":"w1","payload":{payload}}}"#))
        };
        recorder.note(vec![envelope("gw/t/1", 10), envelope("gw/t/2", 11), envelope("gw/t/1", 10)]);
        let arrivals = &recorder.records().arrivals["w1"];
        assert_eq!(
            arrivals.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(),
            ["gw/t/1", "gw/t/2", "gw/t/1"]
        );
        assert_eq!(recorder.samples("w1"), HashSet::from([10, 11]));
        assert_eq!(recorder.counts()["w1"], 3);
    }

    #[test]
    fn an_outcome_is_found_by_its_commands_id() {
        let recorder = recorder();
        recorder.note(vec![arrived("gw/outcomes", r#"{"id":"c1","status":"done"}"#)]);
        assert_eq!(recorder.outcome("c1").unwrap()["status"], "done");
        assert_eq!(recorder.outcome("c2"), None);
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_shown() {
        let recorder = recorder();
        recorder.note(vec![arrived("gw/x", "no json"), arrived("gw/outcomes", "{")]);
        let records = recorder.records();
        assert_eq!(records.unreadable, 2);
        assert_eq!(records.unreadable_examples[0], "gw/x: no json");
    }

    #[test]
    fn the_gateway_counts_as_subscribed_only_while_that_connection_lives() {
        let recorder = recorder();
        let connection = recorder.connected();
        assert!(!recorder.is_subscribed());
        recorder.note(vec![Overheard::Subscribed]);
        assert!(recorder.is_subscribed());
        drop(connection);
        assert!(!recorder.is_subscribed());
    }
}
