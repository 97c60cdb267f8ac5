//! Routes: which topic goes up, in which stream, under which topic at the cloud.

use crate::{
    broker::topic,
    config::Encoding,
    queue::{Refusal, StreamId},
    uplink::{
        encoding::encoded_bytes_max,
        profile::Limits,
        topic::{Template, Values},
    },
};

/// A route, ready for use.
#[derive(Debug, Clone)]
pub struct Route {
    /// The filter that a local topic must match; well formed.
    pub from: String,
    /// The stream.
    pub stream: StreamId,
    /// The stream's name, for the template.
    pub stream_name: String,
    /// The form the stream gives a message on its way up, which may make it longer.
    pub encoding: Encoding,
    /// The topic at the cloud.
    pub to: Template,
}

/// All routes in order; the first that matches decides.
#[derive(Debug, Clone)]
pub struct Routes {
    gateway: String,
    in_order: Vec<Route>,
    limits: Limits,
}

/// Where one message goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Destination {
    /// The stream.
    pub stream: StreamId,
    /// The topic at the cloud, or why the cloud would not take the message.
    pub topic: Result<String, Refusal>,
}

impl Routes {
    /// Routes of this gateway, towards a cloud with these limits.
    pub fn new(gateway: String, routes: Vec<Route>, limits: Limits) -> Self {
        Self { gateway, in_order: routes, limits }
    }

    /// Where a message of this source goes; `None` if it stays on this side.
    pub fn destination(
        &self,
        source: &str,
        topic: &str,
        payload_bytes: usize,
    ) -> Option<Destination> {
        let route = self.in_order.iter().find(|route| topic::matches(&route.from, topic))?;
        let expanded =
            route.to.expand(&Values { gateway: &self.gateway, topic, stream: &route.stream_name });
        let strings = [self.gateway.as_str(), &route.stream_name, source, &expanded];
        let sent_bytes_max = encoded_bytes_max(route.encoding, &strings, payload_bytes);
        let topic = if !self.limits.admit_payload(sent_bytes_max) {
            Err(Refusal::PayloadTooLarge)
        } else if !self.limits.admit_topic(&expanded) {
            Err(Refusal::TopicInvalid)
        } else {
            Ok(expanded)
        };
        Some(Destination { stream: route.stream, topic })
    }
}
