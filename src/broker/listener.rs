//! A door: accepts, and hands each connection to a task of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tracing::{debug, info, warn};

use super::{
    auth::certificate_identity,
    connection::{Identity, open},
    hub::Hub,
    tls::{Tls, TlsError},
};
use crate::config::{Authentication, Listener};

/// The pause after an accept that failed for want of something (descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1_024;
/// Every how many refusals of one kind the log says so again.
const LOG_EVERY: u64 = 1_000;

/// Why a door cannot be opened.
#[derive(Debug, Error)]
pub enum ListenerError {
    /// The address is taken or not allowed. Worth a retry once that changes.
    #[error("listener.bind = {address}: {source}; choose a free address, or stop who has it")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Certificates or keys are no good. Permanent until they are mended.
    #[error("listener {address}: {source}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: TlsError,
    },
    /// The door would be open to anyone by mistake. Permanent until configured.
    #[error(
        "listener {0}: give listener.authentication; only a plain door on loopback has one \
             by default"
    )]
    Authentication(SocketAddr),
    /// Certificates are wanted and cannot be checked. Permanent until configured.
    #[error("listener {0}: authentication by certificate needs listener.tls with a client_ca")]
    ClientCa(SocketAddr),
    /// The door would be plain or anonymous towards a network. Permanent until configured.
    #[error(
        "listener {0}: a plain or anonymous door on an address that is not loopback; add TLS \
             and authentication, or say insecure = true"
    )]
    Insecure(SocketAddr),
}

/// A question to an accept loop: is it alive?
pub(super) type Question = oneshot::Sender<()>;

/// An open door.
#[derive(Debug)]
pub(super) struct Door {
    pub address: SocketAddr,
    pub questions: mpsc::Sender<Question>,
    pub tls: Option<Arc<Tls>>,
}

/// Binds the door; `serve` runs it.
pub(super) fn bind(listener: &Listener) -> Result<(TcpListener, Option<Tls>), ListenerError> {
    let address = listener.bind;
    let authentication = listener.authentication().ok_or(ListenerError::Authentication(address))?;
    let has_ca = listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if authentication == Authentication::Certificate && !has_ca {
        return Err(ListenerError::ClientCa(address));
    }
    let open = listener.tls.is_none() || authentication == Authentication::Anonymous;
    if open && !listener.insecure && !address.ip().is_loopback() {
        return Err(ListenerError::Insecure(address));
    }
    let tls = listener.tls.as_ref().map(Tls::new).transpose();
    let tls = tls.map_err(|source| ListenerError::Tls { address, source })?;
    let socket = listen(address).map_err(|source| ListenerError::Bind { address, source })?;
    Ok((socket, tls))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()
    } else {
        tokio::net::TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What an accept loop needs.
pub(super) struct Acceptor {
    pub hub: Arc<Hub>,
    pub authentication: Authentication,
    pub tls: Option<Arc<Tls>>,
    pub permits: Arc<Semaphore>,
    pub questions: mpsc::Receiver<Question>,
}

impl Acceptor {
    /// Accepts until the broker stops.
    pub async fn run(mut self, socket: TcpListener) {
        loop {
            tokio::select! {
                () = self.hub.shutdown.cancelled() => return,
                Some(question) = self.questions.recv() => {
                    // Who asked may have given up.
                    let _ = question.send(());
                }
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer),
                    Err(error) => pause(&error).await,
                },
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let counters = &self.hub.counters;
        counters.connections_accepted.add(1);
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            if counters.refused_connections_max.increment() % LOG_EVERY == 1 {
                warn!(%peer, "closed at once: limits.connections_max connections are open");
            }
            return;
        };
        // Without it answers would wait for the client's delayed acknowledgements; a socket on
        // which it fails is gone already, and the first read will tell.
        let _ = stream.set_nodelay(true);
        let presence = Presence::new(self.hub.clone(), permit);
        let deadline = Instant::now() + self.hub.limits.connect_timeout;
        let by_password = self.authentication == Authentication::Password;
        let by_certificate = self.authentication == Authentication::Certificate;
        match self.tls.clone() {
            None => {
                let identity = if by_password { Identity::Password } else { Identity::Anonymous };
                tokio::spawn(serve(stream, peer, identity, deadline, presence));
            }
            Some(tls) => {
                tokio::spawn(async move {
                    let handshake = Box::pin(tls.acceptor().accept(stream));
                    let shaken = tokio::select! {
                        shaken = timeout_at(deadline, handshake) => shaken,
                        () = presence.hub.shutdown.cancelled() => return,
                    };
                    let stream = match shaken {
                        Ok(Ok(stream)) => stream,
                        Ok(Err(error)) => return presence.refused_tls(peer, &error),
                        Err(_) => return presence.timed_out(peer),
                    };
                    let identity = match (by_certificate, by_password) {
                        (true, _) => match identity_of(&stream) {
                            Ok(identity) => Identity::Certificate(identity),
                            Err(error) => return presence.refused_tls(peer, &error),
                        },
                        (_, true) => Identity::Password,
                        _ => Identity::Anonymous,
                    };
                    serve(stream, peer, identity, deadline, presence).await;
                });
            }
        }
    }
}

fn identity_of(
    stream: &tokio_rustls::server::TlsStream<TcpStream>,
) -> Result<Arc<str>, super::auth::CertificateError> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.ok_or(super::auth::CertificateError::Unreadable)?;
    certificate_identity(certificate)
}

async fn pause(error: &io::Error) {
    match error.kind() {
        // The connection was gone before it was accepted.
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::Interrupted => {}
        _ => {
            warn!(%error, "cannot accept connections now");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// A connection's place among `limits.connections_max`.
struct Presence {
    hub: Arc<Hub>,
    _permit: OwnedSemaphorePermit,
}

impl Presence {
    fn new(hub: Arc<Hub>, permit: OwnedSemaphorePermit) -> Self {
        hub.counters.connections.add(1);
        Self { hub, _permit: permit }
    }

    fn refused_tls(&self, peer: SocketAddr, error: &dyn std::error::Error) {
        self.hub.counters.refused_tls.add(1);
        info!(%peer, %error, "no TLS connection");
    }

    fn timed_out(&self, peer: SocketAddr) {
        self.hub.counters.refused_timeout.add(1);
        info!(%peer, "closed: no CONNECT within limits.connect_timeout");
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.hub.counters.connections.decrement();
    }
}

async fn serve<S>(
    io: S,
    peer: SocketAddr,
    identity: Identity,
    deadline: Instant,
    presence: Presence,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The way to the CONNECT is on the heap, so that it takes no room in the task afterwards.
    let opening = Box::pin(open(io, presence.hub.clone(), identity, deadline));
    let opened = tokio::select! {
        opened = timeout_at(deadline, opening) => opened,
        () = presence.hub.shutdown.cancelled() => return,
    };
    match opened {
        Ok(Ok(driver)) => driver.run().await,
        Ok(Err(error)) => debug!(%peer, %error, "no session"),
        Err(_) => presence.timed_out(peer),
    }
}
