//! Whether a command may still be carried out: the pure decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::Moment;

/// No command is given longer than this at once, whatever its expiry; it is then asked again.
const LEFT_MAX: Duration = Duration::from_hours(24);

/// What a command says about its expiry, settled when it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the unit comes last")]
pub(super) struct Validity {
    /// Not carried out from this moment of wall time on, in milliseconds since 1970.
    pub until_wall_millis: Option<i64>,
    /// Not carried out this long after it came in.
    pub lifetime_millis: Option<u64>,
    /// How long it is held while the wall clock is needed and cannot be believed.
    pub clock_wait_millis: u64,
}

/// What its sender said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_field_names, reason = "the unit comes last")]
pub(super) struct Said {
    pub issued_at_millis: Option<i64>,
    pub expires_at_millis: Option<i64>,
    pub expires_in_millis: Option<u64>,
}

/// Where a command stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may be carried out, within this time.
    InTime(Duration),
    /// It must not be carried out any more.
    Expired,
    /// The wall clock would have to be believed to tell.
    ClockUntrusted,
    /// And it was waited for in vain.
    ClockNeverTrusted,
}

impl Validity {
    pub(super) fn new(said: Said, expires_after: Duration) -> Self {
        let default = millis(expires_after);
        let lifetime =
            said.expires_in_millis.or(said.expires_at_millis.is_none().then_some(default));
        let from_issue = said
            .issued_at_millis
            .zip(lifetime)
            .map(|(issued, lifetime)| issued.saturating_add_unsigned(lifetime));
        Self {
            until_wall_millis: [said.expires_at_millis, from_issue].into_iter().flatten().min(),
            lifetime_millis: lifetime,
            clock_wait_millis: default,
        }
    }

    /// Where a command that came in at `received` stands at `now`.
    pub(super) fn standing(&self, received: Moment, now: Moment) -> Standing {
        let Some(age) = age(received, now) else { return Standing::Expired };
        let mut left = LEFT_MAX;
        if let Some(lifetime) = self.lifetime_millis {
            if age >= lifetime {
                return Standing::Expired;
            }
            left = left.min(Duration::from_millis(lifetime - age));
        }
        if let Some(until) = self.until_wall_millis {
            match wall(received, now, age) {
                Some(wall) if wall >= until => return Standing::Expired,
                Some(wall) => left = left.min(Duration::from_millis(until.abs_diff(wall))),
                None if age >= self.clock_wait_millis => return Standing::ClockNeverTrusted,
                None => return Standing::ClockUntrusted,
            }
        }
        Standing::InTime(left)
    }
}

/// Milliseconds since a command came in; `None` where no clock can tell, or one says that it
/// comes from the future.
fn age(received: Moment, now: Moment) -> Option<u64> {
    if received.boot == now.boot {
        return now.monotonic_millis.checked_sub(received.monotonic_millis);
    }
    let both_right = received.wall_trusted && now.wall_trusted;
    let age = now.wall_millis.checked_sub(received.wall_millis)?;
    u64::try_from(age).ok().filter(|_| both_right)
}

/// The wall time now: as the clock says, or counted on from when it was last known.
fn wall(received: Moment, now: Moment, age: u64) -> Option<i64> {
    if now.wall_trusted {
        return Some(now.wall_millis);
    }
    let known = received.wall_trusted && received.boot == now.boot;
    known.then(|| received.wall_millis.saturating_add_unsigned(age))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
