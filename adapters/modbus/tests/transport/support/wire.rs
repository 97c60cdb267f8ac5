//! A serial line between two ptys, with someone in the middle who can do it harm.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, sleep_until, timeout},
};
use tokio_serial::{SerialPort, SerialStream};

use super::{Fault, Faults};

/// An answer of the server is complete after so much silence.
const ANSWER_SILENCE: Duration = Duration::from_millis(4);

/// A server that has said nothing for so long does not answer.
const NO_ANSWER: Duration = Duration::from_millis(25);

/// Between two answers of one device lies at least this.
const ANSWER_SPACING: Duration = Duration::from_millis(2);

/// A pty: its far end, and the path under which a master opens it.
///
/// The near end that is returned as well has to be kept: without it the far end sees a hang-up
/// until someone opens the path.
pub fn pty() -> (SerialStream, SerialStream, String) {
    let (far, near) = SerialStream::pair().unwrap();
    let path = near.name().unwrap();
    (far, near, path)
}

/// The line: a master opens `path`, a server has the other end.
pub struct Wire {
    pub path: String,
    echo: Arc<AtomicBool>,
    task: JoinHandle<()>,
    _near: SerialStream,
}

impl Wire {
    /// A line with faults, and the end of it where a server is to be put.
    pub fn new(faults: Faults) -> (Self, SerialStream) {
        let (to_master, near, path) = pty();
        let (to_server, server) = SerialStream::pair().unwrap();
        let echo = Arc::new(AtomicBool::new(false));
        let middle = Middle { faults, echo: Arc::clone(&echo) };
        let task = tokio::spawn(middle.carry(to_master, to_server));
        (Self { path, echo, task, _near: near }, server)
    }

    /// Whether the line returns to the master what it sends.
    pub fn set_echo(&self, echo: bool) {
        self.echo.store(echo, SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Middle {
    faults: Faults,
    echo: Arc<AtomicBool>,
}

impl Middle {
    async fn carry(self, to_master: SerialStream, to_server: SerialStream) {
        let (mut from_master, master) = split(to_master);
        let (mut from_server, mut server) = split(to_server);
        let (answers, queue) = mpsc::channel(64);
        let _writer = tokio::spawn(write_all(queue, master));
        let (mut last_answers, mut unread) = (HashMap::new(), Vec::new());
        loop {
            let request = request(&mut from_master, &mut unread).await;
            if self.echo.load(SeqCst) {
                answers.send(request.clone()).await.unwrap();
            }
            server.write_all(&request).await.unwrap();
            let Some(answer) = answer(&mut from_server).await else { continue };
            let fault = self.faults.decide(&request);
            // A device answers in order: behind a late answer, all its later ones wait.
            let free = last_answers.entry(request[0]).or_insert_with(Instant::now);
            let late = if let Fault::Late(by) = fault { by } else { Duration::ZERO };
            let at = (Instant::now() + late).max(*free + ANSWER_SPACING);
            if at > Instant::now() {
                *free = at;
                let answers = answers.clone();
                tokio::spawn(async move {
                    sleep_until(at.into()).await;
                    deliver(&answers, answer, fault).await;
                });
            } else {
                deliver(&answers, answer, fault).await;
            }
        }
    }
}

async fn write_all(mut queue: mpsc::Receiver<Vec<u8>>, mut master: WriteHalf<SerialStream>) {
    while let Some(bytes) = queue.recv().await {
        // A master that has closed its port misses what is sent to it.
        if master.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn deliver(answers: &mpsc::Sender<Vec<u8>>, mut answer: Vec<u8>, fault: Fault) {
    match fault {
        Fault::None | Fault::Late(_) => {}
        Fault::Dropped => return,
        Fault::Flipped(byte) => {
            let at = byte.rem_euclid(answer.len() as isize) as usize;
            answer[at] ^= 0x10;
        }
        Fault::Short(bytes) => answer.truncate(bytes),
        Fault::Prefixed(mut noise) => {
            noise.extend(answer);
            answer = noise;
        }
        Fault::FromUnit(unit) => {
            answer[0] = unit;
            let end = answer.len() - 2;
            let crc = crc(&answer[..end]);
            answer[end..].copy_from_slice(&crc.to_le_bytes());
        }
        Fault::Dribbled => {
            for byte in answer {
                if answers.send(vec![byte]).await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(1)).await;
            }
            return;
        }
    }
    // The test may be over.
    let _gone = answers.send(answer).await;
}

/// One whole request of the master; what follows it stays in `unread`.
async fn request(from_master: &mut ReadHalf<SerialStream>, unread: &mut Vec<u8>) -> Vec<u8> {
    let mut chunk = [0; 256];
    loop {
        let whole = (4..=unread.len()).find(|length| crc(&unread[..*length]) == 0);
        if let Some(length) = whole {
            return unread.drain(..length).collect();
        }
        match from_master.read(&mut chunk).await {
            Ok(0) | Err(_) => {
                // Between two masters the line has no other end for a while.
                sleep(Duration::from_millis(5)).await;
                unread.clear();
            }
            Ok(bytes) => unread.extend_from_slice(&chunk[..bytes]),
        }
    }
}

async fn answer(from_server: &mut ReadHalf<SerialStream>) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    let mut chunk = [0; 256];
    let mut patience = NO_ANSWER;
    while let Ok(Ok(bytes @ 1..)) = timeout(patience, from_server.read(&mut chunk)).await {
        answer.extend_from_slice(&chunk[..bytes]);
        if crc(&answer) == 0 {
            break;
        }
        patience = ANSWER_SILENCE;
    }
    (!answer.is_empty()).then_some(answer)
}

/// The checksum, bit by bit: not the code under test.
fn crc(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc
}
