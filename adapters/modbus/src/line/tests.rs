use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio_modbus::{Request, Response};

use super::*;
use crate::frame::{Query, rtu_frame};

const TIMEOUT: Duration = Duration::from_millis(60);

fn fast() -> Pace {
    Pace::serial(1_000_000, 10)
}

/// A serial line and its far end.
fn line() -> (Line, DuplexStream) {
    let (near, far) = duplex(4_096);
    (Line::rtu(Box::new(near), fast(), TIMEOUT, false), far)
}

fn read(address: u16, count: u16) -> Query {
    Query::new(Request::ReadHoldingRegisters(address, count)).unwrap()
}

fn one(word: u16) -> Vec<u8> {
    let [high, low] = word.to_be_bytes();
    rtu_frame(1, &[3, 2, high, low])
}

/// Answers each request of eight bytes with the next of these.
fn answers(mut far: DuplexStream, answers: Vec<Vec<u8>>) {
    tokio::spawn(async move {
        let mut request = [0; 8];
        for answer in answers {
            far.read_exact(&mut request).await.unwrap();
            far.write_all(&answer).await.unwrap();
        }
        // Only then the line is hung up.
        let _end = far.read_exact(&mut request).await;
    });
}

async fn word(line: &mut Line) -> u16 {
    match line.transact(1, &read(0, 1), None).await {
        (Ok(Ok(Response::ReadHoldingRegisters(words))), _) => words[0],
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_arrived_before_a_request_is_not_its_answer() {
    let (mut line, mut far) = line();
    far.write_all(&one(666)).await.unwrap();
    answers(far, vec![one(7)]);
    let (result, spent) = line.transact(1, &read(0, 1), None).await;
    assert_eq!(result.unwrap(), Ok(Response::ReadHoldingRegisters(vec![7])));
    assert_eq!(spent.discarded.bytes, 7);
    assert_eq!((spent.sent, spent.received), (8, 7));
}

#[tokio::test]
async fn a_device_that_is_silent_costs_its_timeout_and_not_more() {
    let (mut line, _far) = line();
    let start = Instant::now();
    let (result, _) = line.transact(1, &read(0, 1), None).await;
    assert!(matches!(result, Err(Failure::Timeout)), "{result:?}");
    assert!((TIMEOUT..3 * TIMEOUT).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn after_a_damaged_answer_the_next_one_is_right_again() {
    let (mut line, far) = line();
    let mut damaged = one(7);
    damaged[3] ^= 0x80;
    answers(far, vec![damaged, vec![], one(8), one(9)]);
    let (result, _) = line.transact(1, &read(0, 1), None).await;
    assert!(matches!(result, Err(Failure::Damaged)), "{result:?}");
    let (result, _) = line.transact(1, &read(0, 1), None).await;
    assert!(matches!(result, Err(Failure::Timeout)), "{result:?}");
    assert_eq!(word(&mut line).await, 8);
    assert_eq!(word(&mut line).await, 9);
}

#[tokio::test]
async fn a_hang_up_is_an_error_at_once() {
    let (mut line, far) = line();
    drop(far);
    let (result, _) = line.transact(1, &read(0, 1), None).await;
    assert!(matches!(result, Err(Failure::Io(_))), "{result:?}");
}

#[tokio::test]
async fn a_request_that_is_too_late_leaves_no_byte_on_the_line() {
    let (mut line, mut far) = line();
    let (result, spent) = line.transact(1, &read(0, 1), Some(Instant::now())).await;
    assert!(matches!(result, Err(Failure::TooLate)), "{result:?}");
    assert_eq!(spent.sent, 0);
    drop(line);
    let mut sent = Vec::new();
    far.read_to_end(&mut sent).await.unwrap();
    assert!(sent.is_empty(), "{sent:?}");
}

#[tokio::test]
async fn between_an_answer_and_the_next_request_the_line_is_silent_for_the_gap() {
    let (near, mut far) = duplex(4_096);
    // 300 baud: a gap of 116 ms.
    let pace = Pace::serial(300, 10);
    let mut line = Line::rtu(Box::new(near), pace, TIMEOUT, false);
    let server = tokio::spawn(async move {
        let mut request = [0; 8];
        let mut gaps = Vec::new();
        for _ in 0..2 {
            let silent_since = Instant::now();
            far.read_exact(&mut request).await.unwrap();
            gaps.push(silent_since.elapsed());
            far.write_all(&one(1)).await.unwrap();
        }
        gaps
    });
    word(&mut line).await;
    word(&mut line).await;
    let gaps = server.await.unwrap();
    assert!(gaps[1] + Duration::from_millis(2) >= pace.gap(), "{gaps:?}");
}

#[tokio::test]
async fn a_line_that_is_never_silent_holds_up_nothing_for_ever() {
    let grace = Duration::from_millis(30);
    for pause in [Duration::ZERO, Duration::from_millis(5)] {
        let (mut line, mut far) = line();
        let babble = tokio::spawn(async move {
            while far.write_all(&[0x55; 16]).await.is_ok() {
                match pause {
                    Duration::ZERO => tokio::task::yield_now().await,
                    pause => tokio::time::sleep(pause).await,
                }
            }
        });
        let start = Instant::now();
        assert!(line.quarantine(grace).await.unwrap() > 5);
        let (result, _) = line.transact(1, &read(0, 1), None).await;
        assert!(matches!(result, Err(Failure::Damaged)), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        babble.abort();
    }
}

#[tokio::test]
async fn nothing_is_ever_flushed_because_that_would_block_the_thread_on_a_serial_port() {
    let (near, far) = duplex(4_096);
    let flushes = Arc::new(AtomicU64::new(0));
    let io = CountFlushes { io: near, flushes: Arc::clone(&flushes) };
    let mut line = Line::rtu(Box::new(io), fast(), TIMEOUT, false);
    answers(far, vec![one(1), one(2)]);
    assert_eq!((word(&mut line).await, word(&mut line).await), (1, 2));
    line.quarantine(Duration::from_millis(5)).await.unwrap();
    assert_eq!(flushes.load(SeqCst), 0);
}

struct CountFlushes {
    io: DuplexStream,
    flushes: Arc<AtomicU64>,
}

impl AsyncRead for CountFlushes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CountFlushes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes.fetch_add(1, SeqCst);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
