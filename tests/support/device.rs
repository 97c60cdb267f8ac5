//! A device: publishes numbered messages at QoS 1 with a window, and knows which were acknowledged.
//!
//! It speaks MQTT 3.1.1 by hand and in bursts, because on a small machine the load generator must
//! not be what is measured. After any error it connects again and sends what is unacknowledged,
//! in order, before anything new.

use std::{collections::VecDeque, io, sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{fleet::Shared, wire};

/// A gateway that is away is tried again after this long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(25);
/// A gateway that acknowledges nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(15);
const READ_BYTES: usize = 8 * 1024;

/// What one device has done.
#[derive(Debug, Default)]
pub struct DeviceLog {
    /// The client id, which is also the last level of the topic.
    pub name: String,
    /// Which numbers were acknowledged.
    pub acknowledged: Vec<bool>,
    /// How often a connection was made.
    pub connections: u64,
}

/// One device on its way through its messages.
pub(super) struct Device<'a> {
    shared: &'a Shared,
    log: DeviceLog,
    /// The first number never sent.
    next: u64,
    /// Sent and not yet acknowledged, oldest first, with whether it was acknowledged out of order.
    window: VecDeque<(u64, bool)>,
    template: wire::Template,
    out: Vec<u8>,
}

impl<'a> Device<'a> {
    pub(super) fn new(shared: &'a Shared, number: usize) -> Self {
        let load = &shared.load;
        let name = format!("d{number:02}");
        let marks = load.marks_every.map(|every| (every, format!("{}/marks/{name}", load.topic)));
        let topic = format!("{}/{name}", load.topic);
        Self {
            shared,
            template: wire::Template::new(&topic, marks, load.payload_bytes),
            log: DeviceLog {
                name,
                acknowledged: vec![false; load.messages_each as usize],
                connections: 0,
            },
            next: 0,
            window: VecDeque::with_capacity(load.window),
            out: Vec::with_capacity(load.window * (load.payload_bytes + 64)),
        }
    }

    /// Publishes everything.
    pub(super) async fn run(mut self) -> DeviceLog {
        while !self.is_done() {
            if self.session().await.is_err() {
                sleep(RECONNECT_PAUSE).await;
            }
        }
        self.log
    }

    fn is_done(&self) -> bool {
        self.window.is_empty() && self.next == self.shared.load.messages_each
    }

    async fn session(&mut self) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.shared.address.get()).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&wire::connect(&self.log.name, self.shared.load.keep_alive)).await?;
        let mut connack = [0; 4];
        timeout(SILENCE_MAX, stream.read_exact(&mut connack)).await??;
        wire::expect_accepted(connack)?;
        self.log.connections += 1;

        self.out.clear();
        self.window.retain(|&(_, acknowledged)| !acknowledged);
        for &(number, _) in &self.window {
            self.template.publish(number, &mut self.out);
        }
        self.fill_window();
        stream.write_all(&self.out).await?;

        let mut input = Vec::with_capacity(READ_BYTES);
        while !self.is_done() {
            let read = timeout(SILENCE_MAX, stream.read_buf(&mut input)).await??;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let used = wire::acknowledgements(&input, |packet_id| self.acknowledge(packet_id))?;
            input.drain(..used);
            self.out.clear();
            self.fill_window();
            if !self.out.is_empty() {
                stream.write_all(&self.out).await?;
            }
        }
        stream.write_all(&wire::DISCONNECT).await
    }

    /// Sends in bursts: a device that answered each acknowledgement with one message would
    /// mostly measure system calls, its own and the broker's.
    fn fill_window(&mut self) {
        let load = &self.shared.load;
        if self.window.len() > load.window / 2 {
            return;
        }
        while self.window.len() < load.window && self.next < load.messages_each {
            self.template.publish(self.next, &mut self.out);
            self.window.push_back((self.next, false));
            self.next += 1;
        }
    }

    fn acknowledge(&mut self, packet_id: u16) -> io::Result<()> {
        let found =
            self.window.iter_mut().find(|(number, _)| wire::packet_id(*number) == packet_id);
        let Some((number, acknowledged)) = found else {
            return Err(io::Error::other(format!("packet {packet_id} was not in flight")));
        };
        *acknowledged = true;
        let number = *number;
        if !std::mem::replace(&mut self.log.acknowledged[number as usize], true) {
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        while self.window.front().is_some_and(|&(_, acknowledged)| acknowledged) {
            self.window.pop_front();
        }
        Ok(())
    }
}
