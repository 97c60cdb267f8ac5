//! Certificates, made for each run.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate authority whose certificate lies in a file.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub cert: PathBuf,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority that keeps its files in `folder`.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to refuse");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate for an authority");
        let cert = folder.join(format!("{name}.crt"));
        std::fs::write(&cert, certificate.pem()).expect("a certificate can be written");
        Self { folder: folder.to_owned(), issuer: Issuer::new(params, key), cert }
    }

    /// A certificate for a server on loopback.
    pub fn server(&self, name: &str) -> Identity {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.issue(name, names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client whose CN is `name`.
    pub fn client(&self, name: &str) -> Identity {
        self.issue(name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, name: &str, names: Vec<String>, usage: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::new(names).expect("names that a certificate may hold");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        let identity = Identity {
            cert: self.folder.join(format!("{name}.crt")),
            key: self.folder.join(format!("{name}.key")),
        };
        std::fs::write(&identity.cert, certificate.pem()).expect("a certificate can be written");
        std::fs::write(&identity.key, key.serialize_pem()).expect("a key can be written");
        identity
    }
}
