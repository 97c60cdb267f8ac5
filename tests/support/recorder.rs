//! A subscriber to everything at the cloud, which notes every arrival.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    wait::{wait_for, wait_until},
    wire,
};

const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(10);
const FLUSH_LIMIT: Duration = Duration::from_mins(1);
/// Messages without a number are kept whole, up to so many.
const MESSAGES_MAX: usize = 100_000;
const READ_BYTES: usize = 256 * 1024;
const MARK_TOPIC: &str = "test/mark";

/// The arrivals of one topic's numbered messages.
#[derive(Debug, Default, Clone)]
pub struct Arrivals {
    /// How often each number came.
    pub counts: Vec<u32>,
    /// The numbers in the order in which each came for the first time.
    pub firsts: Vec<u64>,
    /// How many came in all.
    pub total: u64,
}

/// What has arrived at the cloud.
#[derive(Debug, Default)]
pub struct Record {
    /// Numbered messages by topic.
    pub numbered: HashMap<String, Arrivals>,
    /// All others, in order.
    pub messages: Vec<(String, Vec<u8>)>,
    mark: String,
}

/// A recorder; it follows a cloud that restarts.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    record: Mutex<Record>,
    subscribed: AtomicBool,
    closing: AtomicBool,
    arrived: AtomicU64,
}

impl Recorder {
    /// Records what the broker at `address` gets, whenever it is there.
    pub fn start(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !for_thread.closing.load(Ordering::SeqCst) {
                // The broker is away, or went away: it is tried again.
                let _ = session(address, &for_thread);
                for_thread.subscribed.store(false, Ordering::SeqCst);
                std::thread::sleep(LOOK_INTERVAL);
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Waits until it is subscribed.
    #[track_caller]
    pub fn wait_subscribed(&self) {
        wait_until("the recorder is subscribed at the cloud", SUBSCRIBE_LIMIT, || {
            self.shared.subscribed.load(Ordering::SeqCst)
        });
    }

    /// Waits until the broker's connection to the recorder has ended.
    #[track_caller]
    pub fn wait_disconnected(&self) {
        wait_until("the recorder has noticed that the cloud is gone", SUBSCRIBE_LIMIT, || {
            !self.shared.subscribed.load(Ordering::SeqCst)
        });
    }

    /// How many messages have arrived, duplicates included.
    pub fn arrived(&self) -> u64 {
        self.shared.arrived.load(Ordering::SeqCst)
    }

    /// The record so far.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.shared.record.lock().expect("the recorder does not panic")
    }

    /// Forgets what has arrived.
    pub fn forget(&self) {
        *self.record() = Record::default();
        self.shared.arrived.store(0, Ordering::SeqCst);
    }

    /// Waits until everything that the broker had taken before this call is in the record.
    #[track_caller]
    pub fn flush(&self) {
        static MARKS: AtomicU64 = AtomicU64::new(0);
        let mark = format!("mark {}", MARKS.fetch_add(1, Ordering::SeqCst));
        publish(self.address, MARK_TOPIC, mark.as_bytes()).expect("the cloud takes a mark");
        wait_until("the cloud has handed over all it took", FLUSH_LIMIT, || {
            self.record().mark == mark
        });
    }

    /// The first message on `topic` for which `probe` yields something, waiting for it.
    #[track_caller]
    pub fn wait_message<T>(
        &self,
        topic: &str,
        limit: Duration,
        mut probe: impl FnMut(&[u8]) -> Option<T>,
    ) -> T {
        wait_for(&format!("a message on {topic} at the cloud"), limit, || {
            let record = self.record();
            let mut payloads = record.messages.iter().filter(|(name, _)| name == topic);
            payloads.find_map(|(_, payload)| probe(payload))
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Publishes one message at QoS 1 and waits for its PUBACK.
pub fn publish(address: SocketAddr, topic: &str, payload: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SUBSCRIBE_LIMIT))?;
    let client = format!("publisher-{}", stream.local_addr()?.port());
    stream.write_all(&wire::connect(&client, Duration::ZERO))?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    wire::expect_accepted(answer)?;
    stream.write_all(&wire::publish(topic, 1, payload))?;
    stream.read_exact(&mut answer)?;
    wire::acknowledgements(&answer, |_| Ok(()))?;
    stream.write_all(&wire::DISCONNECT)
}

fn session(address: SocketAddr, shared: &Shared) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(&wire::connect("recorder", Duration::ZERO))?;
    let mut connack = [0; 4];
    stream.set_read_timeout(Some(SUBSCRIBE_LIMIT))?;
    stream.read_exact(&mut connack)?;
    wire::expect_accepted(connack)?;
    stream.write_all(&wire::subscribe("#"))?;
    stream.set_read_timeout(Some(LOOK_INTERVAL))?;
    let mut input = Vec::new();
    let mut chunk = vec![0; READ_BYTES];
    while !shared.closing.load(Ordering::SeqCst) {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => input.extend_from_slice(&chunk[..read]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        let mut answers = Vec::new();
        let used = shared.take_all(&input, &mut answers);
        input.drain(..used);
        stream.write_all(&answers)?;
    }
    Ok(())
}

impl Shared {
    /// Notes every whole packet of the input; how many bytes they were.
    fn take_all(&self, input: &[u8], answers: &mut Vec<u8>) -> usize {
        let mut used = 0;
        let mut record = self.record.lock().expect("the test does not panic while it looks");
        while let Some(packet) = wire::first_packet(&input[used..]) {
            used += packet.bytes;
            match packet.head {
                0x90 => self.subscribed.store(true, Ordering::SeqCst),
                head if head & 0xF0 == 0x30 => {
                    let arrival = record.take(head, packet.body, answers);
                    self.arrived.fetch_add(u64::from(arrival), Ordering::SeqCst);
                }
                _ => {}
            }
        }
        used
    }
}

impl Record {
    /// Notes one PUBLISH and answers it; whether it was anything but a mark of the recorder's own.
    fn take(&mut self, head: u8, body: &[u8], answers: &mut Vec<u8>) -> bool {
        let topic_bytes = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, mut payload) = body[2..].split_at(topic_bytes);
        let topic = String::from_utf8_lossy(topic);
        if head & 0x06 != 0 {
            answers.extend(wire::puback([payload[0], payload[1]]));
            payload = &payload[2..];
        }
        if topic == MARK_TOPIC {
            self.mark = String::from_utf8_lossy(payload).into_owned();
            return false;
        }
        match wire::number_of(payload) {
            Some(number) => match self.numbered.get_mut(topic.as_ref()) {
                Some(arrivals) => arrivals.take(number),
                None => self.numbered.entry(topic.into_owned()).or_default().take(number),
            },
            None if self.messages.len() < MESSAGES_MAX => {
                self.messages.push((topic.into_owned(), payload.to_vec()));
            }
            None => panic!("more than {MESSAGES_MAX} messages without a number"),
        }
        true
    }
}

impl Arrivals {
    fn take(&mut self, number: u64) {
        let index = number as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        if self.counts[index] == 0 {
            self.firsts.push(number);
        }
        self.counts[index] += 1;
        self.total += 1;
    }
}
