//! Opens serial ports.

use std::io;

use tokio_serial::{DataBits, SerialStream, StopBits};

use super::Io;
use crate::config::Parity;

/// Opens a serial port for us alone.
pub(super) async fn open(
    port: &str,
    baud: u32,
    parity: Parity,
    stop_bits: u8,
) -> io::Result<Box<dyn Io>> {
    let builder = tokio_serial::new(port, baud)
        .data_bits(DataBits::Eight)
        .stop_bits(if stop_bits == 2 { StopBits::Two } else { StopBits::One })
        .parity(match parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        });
    // Opening a port talks to its driver, which may take its time.
    let opening = tokio::task::spawn_blocking(move || SerialStream::open(&builder));
    let stream = opening.await.map_err(io::Error::other)??;
    Ok(Box::new(stream))
}
