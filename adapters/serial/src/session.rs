//! One opening of the port, from the first byte to the last.

use std::{
    io,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{AdapterIo, Outcome, PendingCommand};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep_until, timeout},
};
use tokio_serial::SerialStream;

use crate::{
    counters::{Count, Tally},
    line::{Line, Wish},
    write::Writer,
};

/// What is read at once; more stays with the kernel until then.
const READ_BYTES: usize = 4096;
/// What the kernel keeps at least for a port that nobody reads.
const KERNEL_BYTES: u64 = 4095;
/// The bits that a character takes on the line, at least.
const CHARACTER_BITS: u64 = 7;
/// How long the kernel may refuse to take a command, as when flow control holds it back.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// What a device gets to digest one init text before the next comes.
const INIT_PAUSE: Duration = Duration::from_millis(100);
/// When there is nothing to wake up for.
const IDLE: Duration = Duration::from_hours(1);

/// Why a session ended.
#[derive(Debug)]
pub enum End {
    /// The adapter is to stop.
    Stopped,
    /// The gateway takes no more readings.
    Closed,
    /// The port failed.
    Failed(io::Error),
}

/// What the device is told, apart from what it says.
#[derive(Debug)]
pub struct Script {
    /// Sent first.
    pub init: Vec<Vec<u8>>,
    /// Sent to ask for a reading.
    pub poll: Option<Vec<u8>>,
    /// How points are written.
    pub writers: Vec<Writer>,
    /// The port's speed.
    pub baud: u32,
}

/// An open port with all that it serves.
pub struct Session<'a> {
    /// The port.
    pub port: &'a mut SerialStream,
    /// What is known of the line.
    pub line: &'a mut Line,
    /// What the device is told.
    pub script: &'a Script,
    /// The counters.
    pub tally: &'a Tally,
    /// The gateway's side.
    pub io: &'a mut AdapterIo,
}

impl Session<'_> {
    /// Runs until the port fails or the adapter is to stop.
    pub async fn run(&mut self) -> End {
        let stop = self.io.stop.clone();
        let end = tokio::select! {
            () = stop.cancelled() => Ok(End::Stopped),
            end = self.converse() => end,
        };
        end.unwrap_or_else(End::Failed)
    }

    async fn converse(&mut self) -> io::Result<End> {
        for text in &self.script.init {
            send(self.port, text).await?;
            tokio::time::sleep(INIT_PAUSE).await;
        }
        self.line.opened(Instant::now());
        let mut buffer = [0; READ_BYTES];
        let mut commanded = true;
        loop {
            let wake_at = self.line.wake_at().unwrap_or_else(|| Instant::now() + IDLE);
            let free = commanded && !self.line.is_busy();
            tokio::select! {
                read = self.port.read(&mut buffer) => match read? {
                    0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up")),
                    length => {
                        let at = self.io.clock.now();
                        self.line.heard(&buffer[..length], Instant::now(), at);
                    }
                },
                () = sleep_until(wake_at.into()) => {
                    let wish = self.line.woke(Instant::now(), self.io.clock.now());
                    if let (Wish::Poll, Some(poll)) = (wish, &self.script.poll) {
                        send(self.port, poll).await?;
                    }
                }
                command = self.io.commands.recv(), if free => match command {
                    Some(command) => self.carry_out(command).await?,
                    None => commanded = false,
                },
            }
            if !self.hand_on().await {
                return Ok(End::Closed);
            }
        }
    }

    /// Hands readings to the gateway, for as long as it takes; false once it takes none.
    async fn hand_on(&mut self) -> bool {
        let started = Instant::now();
        for reading in self.line.take_readings() {
            if self.io.readings.send(reading).await.is_err() {
                return false;
            }
        }
        if may_have_overflowed(started.elapsed(), self.script.baud) {
            self.line.held_back();
        }
        true
    }

    async fn carry_out(&mut self, pending: PendingCommand) -> io::Result<()> {
        let PendingCommand { command, reply } = pending;
        let writer = self.script.writers.iter().find(|writer| writer.point == command.point);
        let bytes = match writer {
            Some(writer) => writer.bytes(&command.value),
            None => Err(format!("'{}' has no point '{}' to write", command.device, command.point)),
        };
        let (writer, bytes) = match (writer, bytes) {
            (Some(writer), Ok(bytes)) => (writer, bytes),
            (_, bytes) => {
                let reason = bytes.err().unwrap_or_default();
                answer(reply, Outcome::Rejected { reason });
                return Ok(());
            }
        };
        if command.deadline <= Instant::now() {
            answer(reply, Outcome::Expired);
            return Ok(());
        }
        self.tally.one(Count::Writes);
        if let Err(error) = send(self.port, &bytes).await {
            self.tally.one(Count::WritesFailed);
            let reason = format!("the port failed: {error}; part of the write may have gone out");
            answer(reply, Outcome::Failed { reason });
            return Err(error);
        }
        match &writer.answer {
            Some(due) => self.line.expect_confirmation(due.clone(), reply, Instant::now()),
            None => answer(reply, Outcome::Done { readback: None }),
        }
        Ok(())
    }
}

/// Tells the sender of a command what became of it.
pub fn answer(reply: tokio::sync::oneshot::Sender<Outcome>, outcome: Outcome) {
    // The sender may have stopped waiting; nobody else wants to know.
    let _ = reply.send(outcome);
}

/// Hands bytes to the kernel. There is no flush: it would wait for the wire, in a blocking call.
async fn send(port: &mut SerialStream, bytes: &[u8]) -> io::Result<()> {
    match timeout(WRITE_TIMEOUT, port.write_all(bytes)).await {
        Ok(written) => written,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it takes no bytes to send")),
    }
}

/// Whether more bytes can have come in this time than the kernel keeps.
fn may_have_overflowed(time: Duration, baud: u32) -> bool {
    let bits = time.as_millis().saturating_mul(u128::from(baud)) / 1000;
    bits > u128::from(KERNEL_BYTES * CHARACTER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_may_be_lost_only_after_the_kernel_had_time_to_receive_too_many() {
        assert!(!may_have_overflowed(Duration::from_millis(2900), 9600));
        assert!(may_have_overflowed(Duration::from_secs(3), 9600));
        assert!(may_have_overflowed(Duration::from_millis(250), 115_200));
        assert!(!may_have_overflowed(Duration::ZERO, 4_000_000));
        assert!(may_have_overflowed(Duration::MAX, u32::MAX));
    }
}
