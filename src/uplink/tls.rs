//! The uplink's certificate files: loading them for a connection, and judging them for
//! `holdfast check`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use thiserror::Error;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::config::Problem;

/// The configuration keys of the files.
const CA: &str = "uplink.ca";
const CERT: &str = "uplink.cert";
const KEY: &str = "uplink.key";

/// The files of one TLS client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities of the server's certificate.
    pub ca: PathBuf,
    /// The client's certificate chain and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why the files cannot be used.
#[derive(Debug, Error)]
pub enum TlsFileError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The configuration key.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file does not hold what it should.
    #[error("{} holds no {wanted} in PEM: {reason}", file.display())]
    Malformed {
        /// The configuration key.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key is not the certificate's.
    #[error("{} is not the private key of the certificate in {}", key.display(), cert.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        cert: PathBuf,
    },
    /// Certificate and key are each readable, but of no use together.
    #[error("{} and its key cannot be used: {source}", cert.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

impl TlsFileError {
    /// The configuration key that is concerned.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Unreadable { key, .. } | Self::Malformed { key, .. } => key,
            Self::Mismatch { .. } => KEY,
            Self::Unusable { .. } => CERT,
        }
    }

    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "check the path, and that the gateway may read it".to_owned()
            }
            Self::Malformed { wanted, .. } => format!("put a {wanted} there, in PEM"),
            Self::Mismatch { .. } => {
                "give the certificate and the key that were made together".to_owned()
            }
            Self::Unusable { .. } => {
                "use an X.509 v3 certificate with an ECDSA P-256/P-384 or RSA key".to_owned()
            }
        }
    }
}

impl From<&TlsFileError> for Problem {
    fn from(error: &TlsFileError) -> Self {
        Self::new(error.key(), error.to_string(), error.remedy())
    }
}

impl TlsFiles {
    /// Reads the files and makes a client of them; the dates are not looked at, since the clock
    /// may be wrong and it is the server who judges.
    pub fn load(&self, alpn: &[String]) -> Result<Arc<ClientConfig>, TlsFileError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring provides TLS 1.2 and 1.3")
            .with_root_certificates(roots(&self.ca)?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let (chain, private) = (certificates(CERT, cert)?, private_key(key)?);
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|source| unusable(cert, key, source))?
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// Everything that is wrong with the files; with a moment given, whether the certificates
    /// are valid then, too.
    pub fn inspect(&self, now: Option<SystemTime>) -> Vec<Problem> {
        let identity = self.identity.as_ref();
        inspect(Some(&self.ca), identity.map(|pair| &*pair.0), identity.map(|pair| &*pair.1), now)
    }
}

/// Everything that is wrong with these files; with a moment given, whether the certificates are
/// valid then, too.
pub fn inspect(
    ca: Option<&Path>,
    cert: Option<&Path>,
    key: Option<&Path>,
    now: Option<SystemTime>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut note = |error: &TlsFileError| {
        problems.push(error.into());
    };
    let authorities = ca.map(|ca| roots(ca).and_then(|_| certificates(CA, ca)));
    let chain = cert.map(|cert| certificates(CERT, cert));
    let private = key.map(private_key);
    for error in [
        authorities.as_ref().and_then(|result| result.as_ref().err()),
        chain.as_ref().and_then(|result| result.as_ref().err()),
        private.as_ref().and_then(|result| result.as_ref().err()),
    ]
    .into_iter()
    .flatten()
    {
        note(error);
    }
    if let (Some(cert), Some(key), Some(Ok(chain)), Some(Ok(private))) =
        (cert, key, &chain, private)
        && let Err(source) =
            rustls::sign::CertifiedKey::from_der(chain.clone(), private, &provider())
    {
        note(&unusable(cert, key, source));
    }
    for (name, file, certificates) in [(CA, ca, &authorities), (CERT, cert, &chain)] {
        if let (Some(file), Some(Ok(certificates)), Some(now)) = (file, certificates, now) {
            problems.extend(date_problems(name, file, certificates, now));
        }
    }
    problems
}

/// Problems with the dates. Of a bundle of authorities one valid certificate is enough; of a
/// chain each must be valid.
fn date_problems(
    key: &'static str,
    file: &Path,
    certificates: &[CertificateDer<'_>],
    now: SystemTime,
) -> Vec<Problem> {
    let problems: Vec<Problem> = certificates
        .iter()
        .filter_map(|certificate| date_problem(key, file, certificate, now))
        .collect();
    if key == CA && problems.len() < certificates.len() { Vec::new() } else { problems }
}

fn date_problem(
    key: &'static str,
    file: &Path,
    certificate: &CertificateDer<'_>,
    now: SystemTime,
) -> Option<Problem> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let (from, to) = (parsed.validity().not_before, parsed.validity().not_after);
    let (message, remedy) = if seconds < from.timestamp() {
        (format!("is not valid before {from}"), "set this machine's clock")
    } else if seconds > to.timestamp() {
        (format!("expired on {to}"), "renew it, or set this machine's clock if that is wrong")
    } else {
        return None;
    };
    let subject = parsed.subject();
    let file = file.display();
    Some(Problem::new(key, format!("the certificate of {subject} in {file} {message}"), remedy))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn unusable(cert: &Path, key: &Path, source: rustls::Error) -> TlsFileError {
    match source {
        rustls::Error::InconsistentKeys(_) => {
            TlsFileError::Mismatch { key: key.to_owned(), cert: cert.to_owned() }
        }
        source => TlsFileError::Unusable { cert: cert.to_owned(), source },
    }
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, TlsFileError> {
    std::fs::read(file).map_err(|source| TlsFileError::Unreadable {
        key,
        file: file.to_owned(),
        source,
    })
}

fn roots(file: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA, file)? {
        roots.add(certificate).map_err(|error| TlsFileError::Malformed {
            key: CA,
            file: file.to_owned(),
            wanted: "certificate",
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn certificates(
    key: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let malformed = |reason: String| TlsFileError::Malformed {
        key,
        file: file.to_owned(),
        wanted: "certificate",
        reason,
    };
    let certificates = CertificateDer::pem_slice_iter(&read(key, file)?)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| malformed(error.to_string()))?;
    for certificate in &certificates {
        X509Certificate::from_der(certificate).map_err(|error| malformed(error.to_string()))?;
    }
    if certificates.is_empty() {
        return Err(malformed("it has no CERTIFICATE section".to_owned()));
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    PrivateKeyDer::from_pem_slice(&read(KEY, file)?).map_err(|error| TlsFileError::Malformed {
        key: KEY,
        file: file.to_owned(),
        wanted: "private key",
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
