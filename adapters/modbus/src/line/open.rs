//! How a line comes to be.

use std::{fmt, future::Future, io, pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{serial, tcp};
use crate::config::{Config, Parity};

/// What bytes go through.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// The future of one attempt to open a line.
pub(crate) type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send + 'a>>;

/// Something that opens a line, again and again.
pub(crate) trait Open: Send + Sync + fmt::Debug {
    /// Opens it. Takes a bounded time.
    fn open(&self) -> Opening<'_>;

    /// What is opened, for messages: `/dev/ttyUSB0`.
    fn describe(&self) -> &str;
}

/// A serial port or TCP address.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    Serial { port: String, baud: u32, parity: Parity, stop_bits: u8 },
    Tcp { host: String, connect_timeout: Duration },
}

impl Endpoint {
    /// Where a checked configuration leads.
    pub(crate) fn of(config: &Config) -> Self {
        match &config.host {
            Some(host) => Self::Tcp { host: host.clone(), connect_timeout: config.connect_timeout },
            None => Self::Serial {
                port: config.port.clone().unwrap_or_default(),
                baud: config.baud,
                parity: config.parity,
                stop_bits: config.stop_bits,
            },
        }
    }
}

impl Open for Endpoint {
    fn open(&self) -> Opening<'_> {
        match self {
            Self::Serial { port, baud, parity, stop_bits } => {
                Box::pin(serial::open(port, *baud, *parity, *stop_bits))
            }
            Self::Tcp { host, connect_timeout } => Box::pin(tcp::open(host, *connect_timeout)),
        }
    }

    fn describe(&self) -> &str {
        match self {
            Self::Serial { port, .. } => port,
            Self::Tcp { host, .. } => host,
        }
    }
}
