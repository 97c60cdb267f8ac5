//! From an accepted socket to an attached session.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};
use tracing::info;

use crate::{
    broker::{
        auth::{Denied, is_device_name},
        codec::{self, ConnAck, Connect, Decoder, Malformed, Packet, Reason, Version},
        connection::{Driver, driver::Opened},
        hub::Hub,
        session::{Attach, AttachError, Link, SessionKey},
    },
    ingest::Source,
};

/// The largest CONNECT: enough for a will of 65,535 bytes, far below what a stranger could make
/// the broker hold otherwise.
const CONNECT_BYTES_MAX: usize = 80 * 1024;
/// The longest keep-alive granted to an MQTT 5 client, in seconds. (MQTT 3.1.1 cannot be told.)
const KEEP_ALIVE_MAX: u16 = 1_200;
/// Topic aliases that a client may use.
pub(super) const TOPIC_ALIAS_MAX: u16 = 32;

/// What is known of who is there before the CONNECT.
#[derive(Debug, Clone)]
pub(in crate::broker) enum Identity {
    /// The client id will be the name.
    Anonymous,
    /// The CONNECT must bring user name and password.
    Password,
    /// The certificate said it.
    Certificate(Arc<str>),
}

/// Why there is no session.
#[derive(Debug, Error)]
pub(in crate::broker) enum OpenError {
    #[error("the connection was lost before its CONNECT was answered: {0}")]
    Lost(#[from] std::io::Error),
    #[error("its first packet: {0}")]
    Malformed(#[from] Malformed),
    #[error("its first packet was not a CONNECT [MQTT-3.1.0-1]")]
    NotConnect,
    #[error("client id {0:?}: {1}")]
    Denied(String, Denied),
    #[error("client id {0:?} is longer than 256 bytes, not printable or reserved")]
    ClientId(String),
    #[error("client id {0:?} wants an authentication method beyond MQTT's own")]
    Method(String),
    #[error("client id {0:?}: {1}")]
    Session(String, AttachError),
}

/// Reads the CONNECT, authenticates, attaches and answers.
pub(in crate::broker) async fn open<S>(
    mut io: S,
    hub: Arc<Hub>,
    identity: Identity,
    deadline: Instant,
) -> Result<Driver<S>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = BytesMut::new();
    let mut decoder = Decoder::new(hub.limits.packet_bytes_max.min(CONNECT_BYTES_MAX));
    let connect = match first_packet(&mut io, &mut decoder, &mut input).await {
        Ok(connect) => connect,
        Err(error) => {
            hub.counters.refused_malformed.add(1);
            if let OpenError::Malformed(malformed) = &error
                && matches!(
                    malformed.reason,
                    Reason::UNSUPPORTED_VERSION | Reason::CLIENT_ID_INVALID
                )
            {
                refuse(&mut io, Version::V311, malformed.reason).await;
            }
            return Err(error);
        }
    };
    match admit(&hub, &identity, &connect, deadline).await {
        Ok(admitted) => {
            decoder.set_packet_bytes_max(hub.limits.packet_bytes_max);
            Ok(start(io, hub, *connect, decoder, input, admitted).await)
        }
        Err((reason, error)) => {
            refuse(&mut io, connect.version, reason).await;
            Err(error)
        }
    }
}

async fn first_packet<S: AsyncRead + Unpin>(
    io: &mut S,
    decoder: &mut Decoder,
    input: &mut BytesMut,
) -> Result<Box<Connect>, OpenError> {
    loop {
        match decoder.next(input)? {
            Some((Packet::Connect(connect), bytes)) => {
                let _ = input.split_to(bytes);
                return Ok(connect);
            }
            Some(_) => return Err(OpenError::NotConnect),
            // A stranger who does not speak MQTT is found out by the first byte.
            None if input.first().is_some_and(|first| *first != 0x10) => {
                return Err(OpenError::NotConnect);
            }
            None => {}
        }
        input.reserve(256);
        if io.read_buf(input).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    }
}

async fn refuse<S: AsyncWrite + Unpin>(io: &mut S, version: Version, reason: Reason) {
    let mut out = BytesMut::new();
    codec::connack(version, reason, &ConnAck::default(), &mut out);
    // The connection is closed whether or not the client learns why.
    let _ = io.write_all(&out).await;
    let _ = io.shutdown().await;
}

struct Admitted {
    attached: crate::broker::session::Attached,
    assigned: bool,
    keep: Duration,
}

async fn admit(
    hub: &Hub,
    identity: &Identity,
    connect: &Connect,
    deadline: Instant,
) -> Result<Admitted, (Reason, OpenError)> {
    let named = || connect.client_id.chars().take(64).collect::<String>();
    if connect.authentication_method {
        hub.counters.refused_credentials.add(1);
        return Err((Reason::BAD_AUTHENTICATION_METHOD, OpenError::Method(named())));
    }
    let identity = match identity {
        Identity::Anonymous => None,
        Identity::Certificate(name) => Some(name.clone()),
        Identity::Password => {
            let password = connect.password.as_deref();
            let verified = hub.passwords.verify(connect.user_name.as_deref(), password).await;
            Some(verified.map_err(|denied| {
                hub.counters.refused_credentials.add(1);
                let reason = match denied {
                    Denied::Credentials => Reason::BAD_CREDENTIALS,
                    Denied::Unavailable => Reason::SERVER_UNAVAILABLE,
                };
                (reason, OpenError::Denied(named(), denied))
            })?)
        }
    };
    let assigned = connect.client_id.is_empty();
    let client_id: Arc<str> = if assigned {
        generated_client_id().into()
    } else if is_device_name(&connect.client_id) {
        connect.client_id.as_str().into()
    } else {
        hub.counters.refused_malformed.add(1);
        return Err((Reason::CLIENT_ID_INVALID, OpenError::ClientId(named())));
    };
    let attach = Attach {
        source: Source(identity.clone().unwrap_or_else(|| client_id.clone())),
        key: SessionKey { identity, client_id },
        clean_start: connect.clean_start,
        deadline,
    };
    let attached = hub.registry.attach(&attach).await.map_err(|error| {
        hub.counters.refused_session.add(1);
        let reason = match error {
            AttachError::TooMany => Reason::QUOTA_EXCEEDED,
            AttachError::Held => Reason::SERVER_UNAVAILABLE,
        };
        (reason, OpenError::Session(named(), error))
    })?;
    Ok(Admitted { attached, assigned, keep: session_expiry(hub, connect) })
}

fn session_expiry(hub: &Hub, connect: &Connect) -> Duration {
    let max = hub.limits.session_expiry_max;
    match (connect.version, connect.session_expiry) {
        (Version::V311, _) if connect.clean_start => Duration::ZERO,
        (Version::V311, _) => max,
        (Version::V5, None) => Duration::ZERO,
        (Version::V5, Some(seconds)) => Duration::from_secs(seconds.into()).min(max),
    }
}

fn generated_client_id() -> String {
    let mut random = [0; 12];
    // Without the system's randomness there are no TLS keys either; a time then tells two clients
    // apart well enough.
    if getrandom::fill(&mut random).is_err() {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        random.copy_from_slice(&nanos.to_be_bytes()[4..]);
    }
    random.iter().fold("auto-".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

async fn start<S>(
    io: S,
    hub: Arc<Hub>,
    connect: Connect,
    decoder: Decoder,
    input: BytesMut,
    admitted: Admitted,
) -> Driver<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Admitted { attached, assigned, keep } = admitted;
    let session = attached.session;
    let is_v5 = connect.version == Version::V5;
    let too_long = is_v5 && (connect.keep_alive == 0 || connect.keep_alive > KEEP_ALIVE_MAX);
    let keep_alive = if too_long { KEEP_ALIVE_MAX } else { connect.keep_alive };
    let limits = &hub.limits;
    let link = Link {
        version: connect.version,
        receive_max: limits.inflight_max.min(connect.receive_max.unwrap_or(u16::MAX)).max(1).into(),
        packet_bytes_max: connect.packet_bytes_max.map_or(usize::MAX, |max| max as usize),
    };
    let asked = Duration::from_secs(connect.session_expiry.unwrap_or(0).into());
    let accepted = ConnAck {
        session_present: attached.present,
        session_expiry: (is_v5 && asked != keep).then_some(keep.as_secs() as u32),
        receive_max: limits.inflight_max.max(1),
        packet_bytes_max: u32::try_from(limits.packet_bytes_max).unwrap_or(u32::MAX),
        topic_alias_max: TOPIC_ALIAS_MAX,
        server_keep_alive: too_long.then_some(KEEP_ALIVE_MAX),
        assigned_client_id: assigned.then_some(session.client_id()),
    };
    let mut out = BytesMut::new();
    codec::connack(connect.version, Reason::SUCCESS, &accepted, &mut out);
    info!(
        device = &*session.source.0,
        client_id = &**session.client_id(),
        present = attached.present,
        "connected"
    );
    let driver = Driver::new(
        io,
        hub.clone(),
        Opened {
            session: session.clone(),
            link,
            keep_alive: Duration::from_secs(keep_alive.into()),
            keep,
            will: connect.will.map(Box::new),
            decoder,
            input,
            out,
        },
    );
    if let Some(replaced) = attached.replaced {
        hub.forget(&replaced);
        if let Some(will) = attached.will {
            let client_id = Some(replaced.client_id().clone());
            hub.publish_will(&replaced.source, client_id, *will).await;
        }
    }
    driver
}
