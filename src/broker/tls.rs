//! The TLS side of a door.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::config::ListenerTls;

/// Why a door's TLS cannot be set up. Permanent until the files are mended.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("listener.tls.{key} = {path:?}: {problem}; give a readable PEM file")]
    File {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key do not fit together, or are of no use for TLS.
    #[error("listener.tls.cert = {path:?} and its key cannot be used: {source}")]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The authorities cannot be used.
    #[error("listener.tls.client_ca = {path:?} cannot be used: {problem}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        problem: String,
    },
    /// A configuration that rustls does not take.
    #[error("TLS cannot be configured: {0}")]
    Rustls(rustls::Error),
}

/// A TLS configuration that can be exchanged while the door is open.
#[derive(Debug)]
pub(super) struct Tls {
    files: ListenerTls,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    pub fn new(files: &ListenerTls) -> Result<Self, TlsError> {
        let config = RwLock::new(Arc::new(load(files)?));
        Ok(Self { files: files.clone(), config })
    }

    /// What the next handshake uses.
    pub fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(config.clone())
    }

    /// Reads the files again; what was in force stays so if they are no good. Open connections
    /// keep what they have.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = Arc::new(load(&self.files)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

fn load(files: &ListenerTls) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates("cert", &files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unreadable("key", &files.key, &error))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Rustls)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let problem = |problem: String| TlsError::ClientCa { path: path.clone(), problem };
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client_ca", path)? {
                roots.add(certificate).map_err(|error| problem(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| problem(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Certificate { path: files.cert.clone(), source })
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(key, path, &error))?;
    if chain.is_empty() {
        let problem = "it holds no certificate".to_owned();
        return Err(TlsError::File { key, path: path.to_path_buf(), problem });
    }
    Ok(chain)
}

fn unreadable(key: &'static str, path: &Path, error: &rustls_pki_types::pem::Error) -> TlsError {
    let problem = match error {
        rustls_pki_types::pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            "no such file".to_owned()
        }
        error => error.to_string(),
    };
    TlsError::File { key, path: path.to_path_buf(), problem }
}
