//! rumqttc as a pipe: it resolves, connects, speaks TLS, says CONNECT and frames packets.
//!
//! Its event loop makes the connection and is not polled again. From then on packets go straight
//! to and from its network: what is in flight, the packet identifiers and the keep-alive are the
//! session's, because rumqttc's own bookkeeping loses or repeats messages on reconnect and stops
//! at an acknowledgement it did not expect. It is faster, too: one write to the socket for many
//! packets instead of one for each.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};

use rumqttc::{Event, EventLoop, MqttOptions, NetworkOptions, Packet};

use super::{failure::Failure, settings::Settings};

/// Packets are gathered up to this many bytes, and then written at once. It is the size at which
/// rumqttc's network would start to write by itself, so that gathering never waits.
const GATHER_BYTES_MAX: usize = 8 * 1024;
/// Packets read in one turn.
const READ_PACKETS_MAX: usize = 256;

/// A connection on which the server has accepted CONNECT.
pub struct Link {
    /// Kept for its network, whose type has no public name.
    eventloop: EventLoop,
    gathered: usize,
    session_present: bool,
    /// How the connection ended, when packets were read just before.
    ended: Option<Failure>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("gathered", &self.gathered).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, and waits for the server's CONNACK. Bound it from outside.
    pub async fn connect(options: MqttOptions) -> Result<Self, Failure> {
        let mut eventloop = EventLoop::new(options, 1);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(Settings::rumqttc_timeout_secs());
        eventloop.set_network_options(network);
        match eventloop.poll().await? {
            Event::Incoming(Packet::ConnAck(connack)) => Ok(Self {
                eventloop,
                gathered: 0,
                session_present: connack.session_present,
                ended: None,
            }),
            other => Err(Failure::Protocol(format!("{other:?} instead of CONNACK"))),
        }
    }

    /// Whether the server had kept this client's session.
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// Whether another packet may be pushed.
    pub fn has_room(&self) -> bool {
        self.gathered < GATHER_BYTES_MAX
    }

    /// Whether everything that was pushed is written.
    pub fn is_written(&self) -> bool {
        self.gathered == 0
    }

    /// Gathers a packet; it goes out with the next turn.
    pub fn push(&mut self, packet: Packet) -> Result<(), Failure> {
        debug_assert!(self.has_room(), "a packet is pushed only where there is room");
        self.gathered += packet.size();
        let Some(network) = &mut self.eventloop.network else { return Err(Failure::Closed) };
        let write = pin!(network.write(packet));
        match write.poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(result) => Ok(result?),
            Poll::Pending => Err(Failure::Protocol("the write buffer was not ready".to_owned())),
        }
    }

    /// Writes what was gathered and reads what has come, both at once: a server that stops
    /// reading until it is read from does not block the link. Ends when packets were read, or
    /// everything gathered is written. Nothing is lost when it is dropped half-way.
    pub async fn turn(&mut self, packets: &mut Vec<Packet>) -> Result<(), Failure> {
        let Some(network) = &mut self.eventloop.network else { return Err(Failure::Closed) };
        let (gathered, ended) = (&mut self.gathered, &mut self.ended);
        poll_fn(move |cx| {
            let mut written = Poll::Pending;
            if *gathered > 0 {
                written = pin!(network.flush()).poll(cx);
            }
            if matches!(written, Poll::Ready(Ok(()))) {
                *gathered = 0;
            }
            while ended.is_none() && packets.len() < READ_PACKETS_MAX {
                match pin!(network.read()).poll(cx) {
                    Poll::Ready(Ok(packet)) => packets.push(packet),
                    Poll::Ready(Err(error)) => *ended = Some(error.into()),
                    Poll::Pending => break,
                }
            }
            if !packets.is_empty() {
                return Poll::Ready(Ok(()));
            }
            // What reading says comes before an error in writing: it has the server's reason.
            match ended.take() {
                Some(failure) => Poll::Ready(Err(failure)),
                None => written.map_err(Failure::from),
            }
        })
        .await
    }
}
