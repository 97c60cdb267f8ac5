//! Retained messages: the last one of each topic, for who subscribes later.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use tokio::time::Instant;

use super::{session::Routed, topic};
use crate::config::Limits;

/// The store. In memory; sorted by topic, so that a filter's literal beginning narrows the search.
#[derive(Debug)]
pub(super) struct Retained {
    messages: BTreeMap<Arc<str>, Arc<Routed>>,
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
}

impl Retained {
    pub fn new(limits: &Limits) -> Self {
        Self {
            messages: BTreeMap::new(),
            bytes: 0,
            messages_max: limits.retained_messages_max,
            bytes_max: limits.retained_bytes_max,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Keeps the message in its topic's place; an empty one clears it [MQTT-3.3.1-10]. `false`
    /// where there is no room: what was kept before is then gone too, as it is out of date.
    pub fn store(&mut self, routed: &Arc<Routed>, now: impl FnOnce() -> Instant) -> bool {
        let name = &routed.message.topic;
        if let Some(old) = self.messages.remove(name) {
            self.bytes -= old.weight;
        }
        if routed.message.payload.is_empty() {
            return true;
        }
        if !self.fits(routed) {
            self.forget_expired(now());
            if !self.fits(routed) {
                return false;
            }
        }
        self.bytes += routed.weight;
        self.messages.insert(name.clone(), routed.clone());
        true
    }

    fn fits(&self, routed: &Routed) -> bool {
        self.messages.len() < self.messages_max && self.bytes + routed.weight <= self.bytes_max
    }

    /// Lets go of messages whose time is over.
    pub fn forget_expired(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.messages.retain(|_, routed| {
            let expired = routed.expired(now);
            if expired {
                *bytes -= routed.weight;
            }
            !expired
        });
    }

    /// Up to `count` messages that match, after a topic.
    pub fn page(
        &self,
        filter: &str,
        after: Option<&str>,
        count: usize,
        now: Instant,
    ) -> Vec<Arc<Routed>> {
        let prefix = topic::literal_prefix(filter);
        let from = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.messages
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter(|(name, routed)| topic::matches(filter, name) && !routed.expired(now))
            .take(count)
            .map(|(_, routed)| routed.clone())
            .collect()
    }
}
