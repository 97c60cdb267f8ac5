//! Why a connection failed, or was given up, and what follows from it.

use std::{io, path::PathBuf, time::Duration};

use rumqttc::{
    ConnectReturnCode, ConnectionError, StateError, TlsError, mqttbytes::Error as PacketError,
};
use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

use super::{backoff::Pace, settings::Settings, tls::TlsFileError};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum Failure {
    /// The certificate files have become unusable.
    #[error("{key}: {0}", key = .0.key())]
    Files(TlsFileError),
    /// The password file has become unreadable.
    #[error("uplink.password_file: cannot read {}: {source}", file.display())]
    Password {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Name resolution, TCP, or the connection itself.
    #[error("the network failed: {0}")]
    Network(io::Error),
    /// No CONNACK in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The server's certificate was not accepted here.
    #[error("the server's certificate is not to be trusted: {0}")]
    ServerUntrusted(CertificateError),
    /// The server ended TLS with an alert.
    #[error("the server ended TLS with the alert {0:?}")]
    Alert(AlertDescription),
    /// TLS failed otherwise.
    #[error("TLS failed: {0}")]
    Tls(rustls::Error),
    /// The server answered CONNECT with a refusal.
    #[error("the server refused the connection: {0:?}")]
    ConnectRefused(ConnectReturnCode),
    /// The server answered CONNECT with a code that MQTT 3.1.1 does not know.
    #[error("the server refused the connection with code {0}")]
    ConnectRefusedOddly(u8),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing is acknowledged any more.
    #[error("nothing was acknowledged for {0:?}, though messages are in flight")]
    Unacknowledged(Duration),
    /// One message is not acknowledged, later ones are.
    #[error("message {sequence} of stream {stream} was not acknowledged, though later ones were")]
    PassedOver {
        /// The stream's name.
        stream: String,
        /// The message's number in it.
        sequence: u64,
    },
    /// A ping was not answered.
    #[error("a ping was not answered within {0:?}")]
    PingTimeout(Duration),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
}

impl Failure {
    /// Whether trying again soon makes sense.
    pub fn pace(&self) -> Pace {
        let refused = match self {
            Self::Files(_) | Self::Password { .. } | Self::ConnectRefusedOddly(_) => true,
            Self::ServerUntrusted(error) => !is_a_matter_of_time(error),
            Self::Alert(alert) => is_about_this_client(*alert),
            Self::Tls(error) => matches!(
                error,
                rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol
            ),
            Self::ConnectRefused(code) => *code != ConnectReturnCode::ServiceUnavailable,
            _ => false,
        };
        if refused { Pace::Refused } else { Pace::Transient }
    }

    /// Whether the server ended a connection that was up.
    pub fn is_closed_by_cloud(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Network(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
            }
            _ => false,
        }
    }

    /// What an operator can do, where something can be done.
    pub fn remedy(&self, settings: &Settings) -> Option<String> {
        let identity = || match settings.tls.as_ref().and_then(|files| files.identity.as_ref()) {
            Some((cert, _)) => format!("uplink.cert ({})", cert.display()),
            None => "uplink.cert (none is configured)".to_owned(),
        };
        match self {
            Self::Files(error) => Some(error.remedy()),
            Self::Password { .. } => Some("restore the file".to_owned()),
            Self::ServerUntrusted(error) if is_a_matter_of_time(error) => {
                Some("check this machine's clock, and the server's certificate".to_owned())
            }
            Self::ServerUntrusted(_) => settings.tls.as_ref().map(|files| {
                format!(
                    "uplink.ca ({}) must hold the authority of {}'s certificate, and the name in \
                     uplink.url must be in that certificate",
                    files.ca.display(),
                    settings.address.host
                )
            }),
            Self::Alert(AlertDescription::NoApplicationProtocol) => {
                Some(format!("uplink.alpn: the server takes none of {:?}", settings.alpn))
            }
            Self::Alert(alert) if is_about_this_client(*alert) => Some(format!(
                "the cloud does not take {}: is it registered, active, not expired, and signed \
                 by an authority the cloud knows?",
                identity()
            )),
            Self::ConnectRefused(ConnectReturnCode::BadClientId) => {
                Some(format!("the cloud does not take uplink.client_id {:?}", settings.client_id))
            }
            Self::ConnectRefused(_) | Self::ConnectRefusedOddly(_) => Some(format!(
                "check at the cloud that client id {:?}, with {} and uplink.username, may connect",
                settings.client_id,
                identity()
            )),
            Self::Closed => Some(
                "if this repeats: another client with the same id, a policy that denies it, or \
                 an inactive certificate look like this"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether a wrong clock, here or there, can be the cause: then time may heal it.
fn is_a_matter_of_time(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

fn is_about_this_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::ProtocolVersion
            | AlertDescription::UnrecognisedName
            | AlertDescription::NoApplicationProtocol
    )
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Io(error) | ConnectionError::Tls(TlsError::Io(error)) => error.into(),
            ConnectionError::Tls(TlsError::TLS(error)) => error.into(),
            ConnectionError::MqttState(error) => error.into(),
            ConnectionError::ConnectionRefused(code) => Self::ConnectRefused(code),
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io(error) | StateError::Deserialization(PacketError::Io(error)) => {
                error.into()
            }
            StateError::ConnectionAborted => Self::Closed,
            StateError::Deserialization(PacketError::InvalidConnectReturnCode(code)) => {
                Self::ConnectRefusedOddly(code)
            }
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // What rustls finds wrong comes wrapped in an I/O error.
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return error.clone().into();
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Network(error),
        }
    }
}

impl From<rustls::Error> for Failure {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            rustls::Error::InvalidCertificate(error) => Self::ServerUntrusted(error),
            error => Self::Tls(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(error: rustls::Error) -> Failure {
        let io = io::Error::new(io::ErrorKind::InvalidData, error);
        ConnectionError::MqttState(StateError::Deserialization(PacketError::Io(io))).into()
    }

    #[test]
    fn an_alert_that_comes_with_the_first_read_is_a_refusal_of_the_certificate() {
        for alert in [
            AlertDescription::CertificateRequired,
            AlertDescription::UnknownCA,
            AlertDescription::CertificateExpired,
            AlertDescription::BadCertificate,
        ] {
            let failure = wrapped(rustls::Error::AlertReceived(alert));
            assert!(matches!(failure, Failure::Alert(_)), "{failure}");
            assert_eq!(failure.pace(), Pace::Refused);
        }
        let failure = wrapped(rustls::Error::AlertReceived(AlertDescription::InternalError));
        assert_eq!(failure.pace(), Pace::Transient);
    }

    #[test]
    fn an_unknown_authority_waits_long_and_a_wrong_date_does_not() {
        let refused = wrapped(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert_eq!(refused.pace(), Pace::Refused);
        let early = wrapped(rustls::Error::InvalidCertificate(CertificateError::NotValidYet));
        assert_eq!(early.pace(), Pace::Transient);
    }

    #[test]
    fn what_the_server_answers_to_connect_decides_the_pace() {
        for (code, pace) in [
            (ConnectReturnCode::NotAuthorized, Pace::Refused),
            (ConnectReturnCode::BadUserNamePassword, Pace::Refused),
            (ConnectReturnCode::BadClientId, Pace::Refused),
            (ConnectReturnCode::ServiceUnavailable, Pace::Transient),
        ] {
            assert_eq!(Failure::from(ConnectionError::ConnectionRefused(code)).pace(), pace);
        }
        let code_seven = ConnectionError::MqttState(StateError::Deserialization(
            PacketError::InvalidConnectReturnCode(7),
        ));
        assert_eq!(Failure::from(code_seven).pace(), Pace::Refused);
    }

    #[test]
    fn trouble_with_the_network_is_transient() {
        for failure in [
            Failure::from(io::Error::from(io::ErrorKind::ConnectionRefused)),
            Failure::from(ConnectionError::MqttState(StateError::ConnectionAborted)),
            Failure::Unacknowledged(Duration::from_secs(30)),
            Failure::ConnectTimeout(Duration::from_secs(20)),
        ] {
            assert_eq!(failure.pace(), Pace::Transient, "{failure}");
        }
    }
}
