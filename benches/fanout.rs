//! How the local broker bears load, alone: `cargo bench --bench fanout -- MODE`.
//!
//! - `fanout` (default): 20 publishers, 50 subscribers, 1,000,000 deliveries at QoS 1; each
//!   subscriber checks that it got every message of every publisher, in order.
//! - `absorb`: 20 publishers with 50 messages of 256 bytes in flight each, nobody subscribed.
//! - `idle`: 1,000 connections that only are there; bytes of memory for each.
//! - `serve ADDRESS`: nothing but the broker, for a test suite that brings its own clients.
//!
//! The entrance accepts at once; what the disk costs is another benchmark's matter. Broker and
//! load share one process and its threads.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BufMut, BytesMut};
use holdfast::{
    broker::{Broker, Message, Switchboard},
    config::{Limits, Listener},
    ingest::{Door, Source, Submission, Verdict},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const PUBLISHERS: usize = 20;
const SUBSCRIBERS: usize = 50;
const DELIVERIES: usize = 1_000_000;
const INFLIGHT: usize = 50;
const PAYLOAD_BYTES: usize = 256;
const ABSORBED: usize = 1_000_000;
const IDLE_CONNECTIONS: usize = 1_000;
/// What the whole run may take before it is called stuck.
const DEADLINE: Duration = Duration::from_mins(5);

/// Accepts everything at once, and passes it on.
struct Open(Arc<Switchboard>);

impl Door for Open {
    fn submit<'a>(&'a self, _: &'a Source, batch: &'a [Message]) -> Submission<'a> {
        let verdicts = vec![Verdict::Accepted; batch.len()];
        Box::pin(async move { verdicts })
    }

    fn deliver(
        &self,
        message: Message,
    ) -> std::pin::Pin<Box<dyn Future<Output = usize> + Send + '_>> {
        Box::pin(self.0.publish(message))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo passes --bench before what comes after its own `--`.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mode = arguments.first().map_or("fanout", String::as_str);
    let run = async {
        match mode {
            "fanout" => fanout().await,
            "absorb" => absorb().await,
            "idle" => idle().await,
            "serve" => {
                let address = arguments.get(1).context("serve needs an address")?;
                let (broker, _) = start(address.parse()?, |_| {}).await?;
                println!("serving on {:?}", broker.addresses());
                std::future::pending().await
            }
            other => bail!("unknown mode {other:?}: fanout, absorb, idle or serve"),
        }
    };
    if mode == "serve" {
        return run.await;
    }
    tokio::time::timeout(DEADLINE, run).await.context("the run is stuck")?
}

async fn start(
    bind: SocketAddr,
    adjust: impl FnOnce(&mut Limits),
) -> Result<(Broker, CancellationToken)> {
    let mut limits = Limits { connections_max: 4_000, sessions_max: 8_000, ..Limits::default() };
    adjust(&mut limits);
    let switchboard = Arc::new(Switchboard::new(&limits));
    let listener = Listener { bind, tls: None, authentication: None, insecure: false };
    let shutdown = CancellationToken::new();
    let door = Arc::new(Open(switchboard.clone()));
    let broker =
        Broker::start(&[listener], &[], &limits, door, switchboard, shutdown.clone()).await?;
    Ok((broker, shutdown))
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn fanout() -> Result<()> {
    let (broker, _) = start(loopback(), |_| {}).await?;
    let address = broker.addresses()[0];
    let each = DELIVERIES / SUBSCRIBERS / PUBLISHERS;
    let mut subscribers = JoinSet::new();
    for number in 0..SUBSCRIBERS {
        let mut client = Client::connect(address, &format!("subscriber-{number}")).await?;
        client.subscribe("fan/#").await?;
        subscribers.spawn(async move { client.receive(each).await });
    }
    let started = Instant::now();
    let mut publishers = publish(address, "fan", each).await?;
    while let Some(done) = publishers.join_next().await {
        done??;
    }
    let acknowledged = started.elapsed();
    let mut received = 0;
    let mut lost = 0;
    while let Some(done) = subscribers.join_next().await {
        let count = done??;
        received += count;
        lost += each * PUBLISHERS - count;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "fanout: {PUBLISHERS} publishers x {SUBSCRIBERS} subscribers, {received} deliveries at \
         QoS 1 in {seconds:.2} s ({:.0}/s), {lost} lost; publishers done after {:.2} s",
        received as f64 / seconds,
        acknowledged.as_secs_f64(),
    );
    println!("{:?}", broker.counters().snapshot());
    ensure!(lost == 0, "{lost} messages lost");
    Ok(())
}

async fn absorb() -> Result<()> {
    let (broker, _) = start(loopback(), |_| {}).await?;
    let started = Instant::now();
    let each = ABSORBED / PUBLISHERS;
    let mut publishers = publish(broker.addresses()[0], "absorb", each).await?;
    while let Some(done) = publishers.join_next().await {
        done??;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "absorb: {ABSORBED} messages of {PAYLOAD_BYTES} B at QoS 1 from {PUBLISHERS} clients with \
         {INFLIGHT} in flight in {seconds:.2} s ({:.0}/s)",
        ABSORBED as f64 / seconds
    );
    Ok(())
}

async fn publish(address: SocketAddr, topic: &str, each: usize) -> Result<JoinSet<Result<()>>> {
    let mut publishers = JoinSet::new();
    for number in 0..PUBLISHERS {
        let client = Client::connect(address, &format!("publisher-{number}")).await?;
        let topic = format!("{topic}/{number}");
        publishers.spawn(client.publish(topic, number, each));
    }
    Ok(publishers)
}

async fn idle() -> Result<()> {
    let (broker, _) = start(loopback(), |_| {}).await?;
    let address = broker.addresses()[0];
    // The clients live in this process too: what their sockets cost is measured without a broker,
    // by connections between two ends of our own.
    let bare_before = resident_bytes()?;
    let listener = tokio::net::TcpListener::bind(loopback()).await?;
    let bare_address = listener.local_addr()?;
    let mut bare = Vec::with_capacity(IDLE_CONNECTIONS);
    for _ in 0..IDLE_CONNECTIONS {
        let (client, server) = tokio::join!(TcpStream::connect(bare_address), listener.accept());
        bare.push((client?, server?.0));
    }
    let bare_bytes = resident_bytes()?.saturating_sub(bare_before);
    drop(bare);
    let before = resident_bytes()?;
    let mut clients = Vec::with_capacity(IDLE_CONNECTIONS);
    for number in 0..IDLE_CONNECTIONS {
        let mut client = Client::connect(address, &format!("idle-{number}")).await?;
        client.subscribe(&format!("commands/{number}")).await?;
        clients.push(client.stream);
    }
    let grown = resident_bytes()?.saturating_sub(before);
    println!(
        "idle: {IDLE_CONNECTIONS} connections with one subscription: {} bytes each, client ends \
         included (two bare ends: {} bytes)",
        grown / IDLE_CONNECTIONS,
        bare_bytes / IDLE_CONNECTIONS
    );
    Ok(())
}

fn resident_bytes() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: usize = line.split_whitespace().nth(1).context("no VmRSS")?.parse()?;
    Ok(kib * 1024)
}

/// Just enough of an MQTT 3.1.1 client to load a broker without being the load itself.
struct Client {
    stream: TcpStream,
    input: BytesMut,
}

impl Client {
    async fn connect(address: SocketAddr, client_id: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, input: BytesMut::new() };
        let mut out = BytesMut::new();
        out.put_slice(&[0x10, 12 + client_id.len() as u8, 0, 4]);
        out.put_slice(b"MQTT\x04\x02\x00\x00");
        out.put_u16(client_id.len() as u16);
        out.put_slice(client_id.as_bytes());
        client.stream.write_all(&out).await?;
        let (first, body) = client.packet().await?;
        ensure!(first == 0x20 && body[1] == 0, "the CONNECT was refused");
        Ok(client)
    }

    async fn subscribe(&mut self, filter: &str) -> Result<()> {
        let mut out = BytesMut::new();
        out.put_slice(&[0x82, 5 + filter.len() as u8, 0, 1]);
        out.put_u16(filter.len() as u16);
        out.put_slice(filter.as_bytes());
        out.put_u8(1);
        self.stream.write_all(&out).await?;
        let (first, body) = self.packet().await?;
        ensure!(first == 0x90 && body[2] == 1, "the SUBSCRIBE was refused");
        Ok(())
    }

    async fn publish(mut self, topic: String, number: usize, count: usize) -> Result<()> {
        let mut out = BytesMut::new();
        let (mut sent, mut acknowledged) = (0, 0);
        while acknowledged < count {
            while sent < count && sent - acknowledged < INFLIGHT {
                let remaining = 2 + topic.len() + 2 + PAYLOAD_BYTES;
                out.put_u8(0x32);
                out.put_slice(&[(remaining & 0x7f) as u8 | 0x80, (remaining >> 7) as u8]);
                out.put_u16(topic.len() as u16);
                out.put_slice(topic.as_bytes());
                out.put_u16((sent % INFLIGHT) as u16 + 1);
                out.put_u32(number as u32);
                out.put_u32(sent as u32);
                out.put_bytes(b'x', PAYLOAD_BYTES - 8);
                sent += 1;
            }
            self.stream.write_all(&out).await?;
            out.clear();
            let (first, _) = self.packet().await?;
            ensure!(first == 0x40, "a packet of type {first:#x} for a publisher");
            acknowledged += 1;
            while let Some((first, _)) = self.buffered() {
                ensure!(first == 0x40, "a packet of type {first:#x} for a publisher");
                acknowledged += 1;
            }
        }
        Ok(())
    }

    /// Receives `each` messages of every publisher, in order and acknowledged; how many came.
    async fn receive(mut self, each: usize) -> Result<usize> {
        let mut next = [0; PUBLISHERS];
        let mut count = 0;
        let mut out = BytesMut::new();
        while count < each * PUBLISHERS {
            let quiet = Duration::from_secs(20);
            let Ok(packet) = tokio::time::timeout(quiet, self.packet()).await else { break };
            let mut packet = Some(packet?);
            while let Some((first, mut body)) = packet {
                ensure!(first & 0xf0 == 0x30, "a packet of type {first:#x} for a subscriber");
                let topic_bytes = body.get_u16();
                body.advance(topic_bytes.into());
                out.put_slice(&[0x40, 2]);
                out.put_u16(body.get_u16());
                let number = body.get_u32() as usize;
                let sequence = body.get_u32() as usize;
                ensure!(sequence >= next[number], "a duplicate, or out of order");
                next[number] = sequence + 1;
                count += 1;
                packet = self.buffered();
            }
            self.stream.write_all(&out).await?;
            out.clear();
        }
        Ok(count)
    }

    fn buffered(&mut self) -> Option<(u8, BytesMut)> {
        let first = *self.input.first()?;
        let (mut length, mut header) = (0_usize, 1);
        loop {
            let byte = *self.input.get(header)?;
            length |= usize::from(byte & 0x7f) << (7 * (header - 1));
            header += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if self.input.len() < header + length {
            return None;
        }
        self.input.advance(header);
        Some((first, self.input.split_to(length)))
    }

    async fn packet(&mut self) -> Result<(u8, BytesMut)> {
        loop {
            if let Some(packet) = self.buffered() {
                return Ok(packet);
            }
            self.input.reserve(16 * 1024);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}
