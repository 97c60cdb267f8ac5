//! Certificates made for one run: two authorities, and what they issue.
//!
//! The cloud and the site each have an authority of their own, as in a real installation: a
//! sensor's certificate opens the gateway's door and nothing else, the gateway's opens the cloud.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use time::OffsetDateTime;

/// How long the certificates are valid: longer than any run, too short to be worth stealing.
const VALIDITY: Duration = Duration::from_hours(24);
/// They are valid from a little before they are made, for clocks that are set back meanwhile.
const BACKDATED: Duration = Duration::from_hours(1);

/// Why certificates could not be made or used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The TLS library does not take what was made.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The TLS library does not take the authority.
    #[error("cannot set up the check of client certificates: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// An authority that issues certificates.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

/// What a certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// To be connected to, on loopback.
    Server,
    /// To connect.
    Client,
}

fn parameters(common_name: &str) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = now - BACKDATED;
    parameters.not_after = now + VALIDITY;
    parameters
}

impl Authority {
    /// Makes an authority of this name.
    pub fn new(common_name: &str) -> Result<Self, CertificateError> {
        let mut parameters = parameters(common_name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        Ok(Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(parameters, key),
        })
    }

    /// Issues a certificate; a server's is for `localhost` and 127.0.0.1.
    pub fn issue(&self, common_name: &str, role: Role) -> Result<Identity, CertificateError> {
        let mut parameters = parameters(common_name);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.use_authority_key_identifier_extension = true;
        match role {
            Role::Server => {
                parameters.subject_alt_names =
                    CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?
                        .subject_alt_names;
                parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            Role::Client => {
                parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
        }
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key,
        })
    }

    /// Writes the authority's certificate to `<folder>/<stem>.crt`.
    pub fn write(&self, folder: &Path, stem: &str) -> io::Result<()> {
        fs::write(folder.join(format!("{stem}.crt")), &self.pem)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, CertificateError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        Ok(Arc::new(roots))
    }
}

impl Identity {
    /// Writes `<folder>/<stem>.crt` and, for its owner's eyes only, `<folder>/<stem>.key`.
    pub fn write(&self, folder: &Path, stem: &str) -> io::Result<()> {
        fs::write(folder.join(format!("{stem}.crt")), &self.certificate_pem)?;
        let mut key = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join(format!("{stem}.key")))?;
        io::Write::write_all(&mut key, self.key.serialize_pem().as_bytes())
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// TLS for a server that admits only what `clients` issued.
    pub fn server_config(&self, clients: &Authority) -> Result<ServerConfig, CertificateError> {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(clients.roots()?, Arc::clone(&provider))
                .build()?;
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key())?)
    }

    /// TLS for a client that trusts only what `servers` issued.
    pub fn client_config(&self, servers: &Authority) -> Result<ClientConfig, CertificateError> {
        Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(servers.roots()?)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key())?)
    }
}
