//! Bytes in and out of an open port or connection, and its silences.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::{sleep_until, timeout, timeout_at},
};

use super::{Io, Pace};

/// How much longer than its time on the wire a request may take to be written: beyond it the
/// driver or the network does not take it.
const WRITE_GRACE: Duration = Duration::from_secs(1);

/// How often the line is listened to for silence before a request is sent all the same.
const PURGES_MAX: u32 = 8;

/// How many times `late_grace` a line that will not be quiet is waited for.
const QUARANTINE_GRACES_MAX: u32 = 10;

const READ_BYTES: usize = 512;

/// An open port or connection.
pub(super) struct Wire {
    io: Box<dyn Io>,
    pub(super) pace: Pace,
    /// When the last byte went over the wire, as far as we can tell.
    last_byte: Instant,
    chunk: [u8; READ_BYTES],
}

impl Wire {
    pub(super) fn new(io: Box<dyn Io>, pace: Pace) -> Self {
        Self { io, pace, last_byte: Instant::now(), chunk: [0; READ_BYTES] }
    }

    /// Writes a frame; returns when that was done. There is no flush: on a serial port it would
    /// block the whole thread until the last bit is out.
    pub(super) async fn send(&mut self, frame: &[u8]) -> io::Result<Instant> {
        let on_wire = self.pace.on_wire(frame.len());
        let writing = timeout(on_wire + WRITE_GRACE, self.io.write_all(frame));
        writing.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let now = Instant::now();
        self.last_byte = now + on_wire;
        Ok(now)
    }

    /// What arrives next; `None` if nothing does until `deadline`.
    pub(super) async fn receive(&mut self, deadline: Instant) -> io::Result<Option<&[u8]>> {
        let reading = timeout_at(deadline.into(), self.io.read(&mut self.chunk));
        let Ok(read) = reading.await else { return Ok(None) };
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => {
                self.last_byte = Instant::now();
                Ok(Some(&self.chunk[..bytes]))
            }
        }
    }

    /// Waits until the line has been silent for t3.5 and nothing unread is left, within bounds.
    /// Returns how many stale bytes there were.
    pub(super) async fn wait_for_silence(&mut self) -> io::Result<u32> {
        let mut stale = 0;
        for _ in 0..PURGES_MAX {
            sleep_until((self.last_byte + self.pace.gap()).into()).await;
            let purged = self.purge().await?;
            if purged == 0 {
                break;
            }
            stale += purged;
            self.last_byte = Instant::now();
        }
        Ok(stale)
    }

    /// Throws away what has arrived. Returns how many bytes that were, at most one buffer full.
    pub(super) async fn purge(&mut self) -> io::Result<u32> {
        let Self { io, chunk, .. } = self;
        let mut buffer = ReadBuf::new(chunk);
        let polled = poll_fn(|cx| match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => Poll::Ready(None),
        });
        match polled.await {
            None => Ok(0),
            Some(Ok(())) if buffer.filled().is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(Ok(())) => Ok(buffer.filled().len() as u32),
            Some(Err(error)) => Err(error),
        }
    }

    /// Listens until the line has been silent for `late_grace`, within bounds, so that a late
    /// answer disturbs nobody. Returns how many bytes came.
    pub(super) async fn quarantine(&mut self, late_grace: Duration) -> io::Result<u32> {
        let end = Instant::now() + late_grace * QUARANTINE_GRACES_MAX;
        let mut stale = 0;
        while Instant::now() < end {
            match self.receive(Instant::now() + late_grace).await? {
                Some(bytes) => stale += bytes.len() as u32,
                None => break,
            }
        }
        Ok(stale)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("pace", &self.pace).finish_non_exhaustive()
    }
}
