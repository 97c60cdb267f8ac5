//! The cloud's door: TLS with required client certificates before a plain MQTT broker on
//! loopback, and the place where the line to the cloud is cut.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{recorder::Recorder, tap::Tap};

/// Connections at once; the demo needs two.
const CONNECTIONS_MAX: usize = 16;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many bytes are carried at a time.
const BUFFER_BYTES: usize = 16 * 1024;

/// The state of the line to the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Everything passes.
    Open,
    /// Connections stay up, new ones are taken, and not a byte passes: a dead mobile link.
    Silent,
    /// Connections are broken and new ones are closed at once.
    Down,
}

/// The door; it closes when this is dropped.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    line: watch::Sender<Line>,
    accepting: JoinHandle<()>,
}

impl Front {
    /// Opens the door on a free port of loopback. What the client whose certificate names it
    /// `recorded` sends is noted in `recorder`.
    pub async fn open(
        tls: ServerConfig,
        broker: SocketAddr,
        recorded: &str,
        recorder: Arc<Recorder>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (line, watched) = watch::channel(Line::Open);
        let door = Arc::new(Door {
            acceptor: TlsAcceptor::from(Arc::new(tls)),
            broker,
            recorded: recorded.to_owned(),
            recorder,
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        });
        let accepting = tokio::spawn(accept(listener, door, watched));
        Ok(Self { address, line, accepting })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts or mends the line.
    pub fn set_line(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.line.send_replace(Line::Down);
        self.accepting.abort();
    }
}

struct Door {
    acceptor: TlsAcceptor,
    broker: SocketAddr,
    recorded: String,
    recorder: Arc<Recorder>,
    permits: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, door: Arc<Door>, line: watch::Receiver<Line>) {
    loop {
        // An accept that fails concerns that connection alone.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(permit) = Arc::clone(&door.permits).try_acquire_owned() else { continue };
        let (door, mut line) = (Arc::clone(&door), line.clone());
        tokio::spawn(async move {
            let mut broken = line.clone();
            tokio::select! {
                // How a connection ends is the gateway's to notice; the demo looks at what arrived.
                _ = serve(stream, &door, &mut line) => {}
                _ = broken.wait_for(|line| *line == Line::Down) => {}
            }
            drop(permit);
        });
    }
}

async fn serve(stream: TcpStream, door: &Door, line: &mut watch::Receiver<Line>) -> io::Result<()> {
    passable(line).await?;
    stream.set_nodelay(true)?;
    let tls = timeout(HANDSHAKE_TIMEOUT, door.acceptor.accept(stream)).await??;
    let tap = (peer_name(&tls).as_deref() == Some(&door.recorded)).then(Mutex::default);
    let broker = TcpStream::connect(door.broker).await?;
    broker.set_nodelay(true)?;

    let (from_client, to_client) = io::split(tls);
    let (from_broker, to_broker) = broker.into_split();
    let up = carry(from_client, to_broker, line.clone(), |bytes| {
        let Some(tap) = &tap else { return Ok(()) };
        lock(tap).up(bytes).map_err(io::Error::other)
    });
    let down = carry(from_broker, to_client, line.clone(), |bytes| {
        let Some(tap) = &tap else { return Ok(()) };
        let overheard = lock(tap).down(bytes).map_err(io::Error::other)?;
        door.recorder.note(overheard);
        Ok(())
    });
    let _connected = tap.is_some().then(|| door.recorder.connected());
    // Either side's end is the end of both: MQTT knows no half-closed connections.
    tokio::select! { ended = up => ended, ended = down => ended }
}

/// Carries bytes while the line is open. What `listen` learns, it learns before the bytes go on:
/// no client hears of an acknowledgement that has not been noted.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    mut listen: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        passable(&mut line).await?;
        let read = tokio::select! {
            read = from.read(&mut buffer) => read?,
            changed = line.changed() => {
                changed.map_err(io::Error::other)?;
                continue;
            }
        };
        if read == 0 {
            return Ok(());
        }
        // The line may have gone silent while these bytes came; then they wait too.
        passable(&mut line).await?;
        listen(&buffer[..read])?;
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}

async fn passable(line: &mut watch::Receiver<Line>) -> io::Result<()> {
    line.wait_for(|line| *line == Line::Open).await.map(|_| ()).map_err(io::Error::other)
}

fn lock(tap: &Mutex<Tap>) -> std::sync::MutexGuard<'_, Tap> {
    tap.lock().unwrap_or_else(PoisonError::into_inner)
}

fn peer_name(tls: &TlsStream<TcpStream>) -> Option<String> {
    tls.get_ref().1.peer_certificates()?.first().and_then(common_name)
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}
