//! `[[listener]]`

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

/// One door of the local broker.
#[derive(Debug, Clone, Deserialize)]
pub struct Listener {
    /// Address and port to listen on.
    pub bind: SocketAddr,
    /// TLS; without it the door is plain TCP.
    pub tls: Option<ListenerTls>,
    /// How a device shows who it is. Left out: `certificate` where TLS has a `client_ca`,
    /// `anonymous` on plain loopback; anywhere else it must be given.
    pub authentication: Option<Authentication>,
    /// Allows a plain or anonymous door on an address that is not loopback.
    #[serde(default)]
    pub insecure: bool,
}

/// The TLS side of a door.
#[derive(Debug, Clone, Deserialize)]
pub struct ListenerTls {
    /// The server's certificate chain, PEM.
    pub cert: PathBuf,
    /// The server's private key, PEM.
    pub key: PathBuf,
    /// The authority (or authorities) that issue the devices' certificates, PEM.
    pub client_ca: Option<PathBuf>,
}

/// How a device shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// It does not; its client id is taken for its name.
    Anonymous,
    /// User name and password, from `[[user]]`.
    Password,
    /// A client certificate of the listener's `client_ca`; its name is the subject's CN, or the
    /// first DNS name or URI of the subject alternative names.
    Certificate,
}

impl Listener {
    /// The authentication in force: what is configured, or what follows from the rest.
    pub fn authentication(&self) -> Option<Authentication> {
        self.authentication.or(match &self.tls {
            Some(tls) if tls.client_ca.is_some() => Some(Authentication::Certificate),
            None if self.bind.ip().is_loopback() => Some(Authentication::Anonymous),
            _ => None,
        })
    }
}
