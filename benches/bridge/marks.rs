//! The cloud's end of a drain: when each watched message arrives, and how many came in all.
//!
//! Only every 500th message is watched, so that watching takes nothing from the broker.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::support::{wait_for, wire};

const LOOK: Duration = Duration::from_millis(50);
const START_LIMIT: Duration = Duration::from_secs(10);
const RECEIVED: &str = "$SYS/broker/publish/messages/received";

/// A subscriber to the marks of all devices.
#[derive(Debug)]
pub struct Marks {
    stream: TcpStream,
    input: Vec<u8>,
    /// When the first came, and its number.
    pub first: Option<(Instant, u64)>,
    /// When the last came.
    pub last: Option<Instant>,
    finished: usize,
    received: u64,
}

impl Marks {
    /// Subscribes.
    pub fn watch(broker: SocketAddr) -> Self {
        let mut stream =
            wait_for("the cloud listens", START_LIMIT, || TcpStream::connect(broker).ok());
        stream.set_read_timeout(Some(LOOK)).expect("a timeout that is not zero");
        let mut hello = wire::connect("marks", Duration::ZERO);
        hello.extend(wire::subscribe("+/sensors/marks/#"));
        hello.extend(wire::subscribe(RECEIVED));
        stream.write_all(&hello).expect("the cloud takes a subscription");
        Self { stream, input: Vec::new(), first: None, last: None, finished: 0, received: 0 }
    }

    /// Reads until `done` or the limit; whether it was done.
    pub fn read_until(&mut self, limit: Duration, total: &Total, done: Done) -> bool {
        let deadline = Instant::now() + limit;
        let mut chunk = vec![0; 64 * 1024];
        while Instant::now() < deadline {
            match self.stream.read(&mut chunk) {
                Ok(0) => panic!("the cloud closed the connection of its watcher"),
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("the watcher's connection: {error}"),
            }
            self.take_all(total);
            let is_done = match done {
                Done::First => self.first.is_some(),
                Done::Last => self.finished >= total.devices,
                Done::Received => self.received >= total.messages(),
            };
            if is_done {
                return true;
            }
        }
        false
    }

    fn take_all(&mut self, total: &Total) {
        let mut used = 0;
        let mut answers = Vec::new();
        while let Some(packet) = wire::first_packet(&self.input[used..]) {
            used += packet.bytes;
            if packet.head & 0xF0 != 0x30 {
                continue;
            }
            let (length, rest) = packet.body.split_at(2);
            let (topic, mut payload) =
                rest.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])));
            if packet.head & 0x06 != 0 {
                answers.extend(wire::puback([payload[0], payload[1]]));
                payload = &payload[2..];
            }
            if topic == RECEIVED.as_bytes() {
                let count = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
                self.received = count.unwrap_or(0);
            } else if let Some(number) = wire::number_of(payload) {
                let now = Instant::now();
                self.first.get_or_insert((now, number));
                if number + 1 == total.messages_each {
                    self.finished += 1;
                    self.last = Some(now);
                }
            }
        }
        self.input.drain(..used);
        self.stream.write_all(&answers).expect("the cloud takes acknowledgements");
    }
}

/// What is to arrive.
#[derive(Debug, Clone, Copy)]
pub struct Total {
    /// How many devices.
    pub devices: usize,
    /// How many messages of each.
    pub messages_each: u64,
}

impl Total {
    /// All messages.
    pub fn messages(&self) -> u64 {
        self.devices as u64 * self.messages_each
    }
}

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub enum Done {
    /// The first mark.
    First,
    /// The last message of every device.
    Last,
    /// By the broker's own count, all messages.
    Received,
}
