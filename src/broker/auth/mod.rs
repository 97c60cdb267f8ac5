//! Who a device is.

mod certificate;
mod password;

#[cfg(test)]
mod tests;

pub(super) use certificate::{CertificateError, identity as certificate_identity};
pub use password::UserError;
pub(super) use password::{Denied, Passwords};

/// The longest name of a device, in bytes: client id or identity.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// Whether a name may be a device's: neither empty nor endless, printable, and not one by which
/// the gateway calls itself or its adapters.
pub(super) fn is_device_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(char::is_control)
        && name != "gateway"
        && !name.starts_with("modbus:")
        && !name.starts_with("serial:")
}
