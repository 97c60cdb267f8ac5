//! Opening the port, again and again if need be.

use std::{io, time::Duration};

use tokio::task::spawn_blocking;
use tokio_serial::{DataBits, SerialPortBuilder, SerialStream, StopBits};

use crate::{
    config::{FlowControl, Parity},
    plan::PortSettings,
};

/// The pause after the first failure; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause: a sensor that is plugged in again is heard this much later at most.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Opens the port. The driver may block in there, so it happens on a thread for such things.
pub async fn open(settings: &PortSettings) -> io::Result<SerialStream> {
    let builder = builder(settings);
    match spawn_blocking(move || SerialStream::open(&builder)).await {
        Ok(opened) => opened.map_err(io::Error::from),
        Err(stopped) => Err(io::Error::other(stopped)),
    }
}

/// Closes the port. The kernel may wait for unsent bytes there, for half a minute.
pub fn close(port: SerialStream) {
    // Nobody waits for it: the port is of no use any more.
    drop(spawn_blocking(move || drop(port)));
}

/// What to do about a port that cannot be opened.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "plug the device in, or correct port",
        io::ErrorKind::PermissionDenied => {
            "let this user read and write it, usually by adding it to the group dialout"
        }
        io::ErrorKind::ResourceBusy => "stop the other program that has it open",
        _ => "check the cable and the settings of the line",
    }
}

fn builder(settings: &PortSettings) -> SerialPortBuilder {
    tokio_serial::new(&settings.path, settings.baud)
        .parity(match settings.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .data_bits(match settings.data_bits {
            5 => DataBits::Five,
            6 => DataBits::Six,
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        })
        .stop_bits(if settings.stop_bits == 2 { StopBits::Two } else { StopBits::One })
        .flow_control(match settings.flow_control {
            FlowControl::None => tokio_serial::FlowControl::None,
            FlowControl::Software => tokio_serial::FlowControl::Software,
            FlowControl::Hardware => tokio_serial::FlowControl::Hardware,
        })
}

/// Growing pauses between attempts to open the port.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Starts with the shortest pause.
    pub fn new() -> Self {
        Self { next: PAUSE_MIN }
    }

    /// The pause to make now.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        pause
    }

    /// The port works: the next pause is the shortest again.
    pub fn reset(&mut self) {
        self.next = PAUSE_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_start_over_after_success() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.pause(), PAUSE_MIN);
    }
}
