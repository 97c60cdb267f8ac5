//! The identity in a client certificate.

use std::sync::Arc;

use thiserror::Error;
use x509_parser::{extensions::GeneralName, prelude::*};

use super::is_device_name;

/// Why a certificate names nobody. Permanent until the device gets another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::broker) enum CertificateError {
    #[error("the client certificate cannot be read")]
    Unreadable,
    #[error("the client certificate has no CN, and no DNS name or URI in its alternative names")]
    Nameless,
    #[error("the client certificate's name {0:?} cannot be a device's")]
    Unusable(String),
}

/// The subject's CN, or else the first DNS name or URI of the subject alternative names.
pub(in crate::broker) fn identity(der: &[u8]) -> Result<Arc<str>, CertificateError> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
    let common_name = certificate
        .subject()
        .iter_common_name()
        .find_map(|name| name.as_str().ok().filter(|name| !name.is_empty()));
    let name = match common_name {
        Some(name) => name,
        None => alternative(&certificate).ok_or(CertificateError::Nameless)?,
    };
    if is_device_name(name) {
        Ok(Arc::from(name))
    } else {
        Err(CertificateError::Unusable(name.chars().take(64).collect()))
    }
}

fn alternative<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    let names = certificate.subject_alternative_name().ok().flatten()?;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) if !name.is_empty() => Some(*name),
        _ => None,
    })
}
