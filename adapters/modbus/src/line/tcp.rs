//! Opens TCP connections.

use std::{io, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::Io;

/// Connects to `host`, given as name or address with a port.
pub(super) async fn open(host: &str, connect_timeout: Duration) -> io::Result<Box<dyn Io>> {
    let connecting = timeout(connect_timeout, TcpStream::connect(host));
    let stream = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
