//! Why a packet was not taken.

use thiserror::Error;

use super::Reason;

/// A packet that breaks the specification; the connection that sent it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} [{clause}]")]
pub(in crate::broker) struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// The clause of the specification that it breaks.
    pub clause: &'static str,
    /// What MQTT 5 calls it.
    pub reason: Reason,
}

impl Malformed {
    /// A packet that cannot be read.
    pub const fn packet(what: &'static str, clause: &'static str) -> Self {
        Self { what, clause, reason: Reason::MALFORMED }
    }

    /// A packet that can be read but must not be sent.
    pub const fn protocol(what: &'static str, clause: &'static str) -> Self {
        Self { what, clause, reason: Reason::PROTOCOL_ERROR }
    }

    /// The same with a reason code of its own.
    pub const fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }
}
