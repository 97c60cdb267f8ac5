//! What to do after connections on which messages were sent and none was acknowledged.
//!
//! Two things look like this, and each would go on for ever if the next connection did the same
//! again:
//!
//! - A link so slow that a window does not get through before `ack_timeout`. So the next
//!   connection sends one message at a time until one is acknowledged, and waits longer for it.
//! - A message at which the cloud closes the connection (a topic that its policy denies, say).
//!   Sent alone, it is found out: when the cloud has closed on it [`STRIKES_MAX`] times, it is set
//!   aside, and those behind it go up. It stays in the queue and is tried again much later. If the
//!   cloud closes on the next one just as it did, the message was not the reason, and no other is
//!   set aside until something is acknowledged.

use super::window::Ticket;

/// Connections that the cloud closes on the same message, alone in flight, before it is set aside.
pub const STRIKES_MAX: u32 = 3;
/// The timeout grows up to two to this power.
const PATIENCE_DOUBLINGS_MAX: u32 = 4;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Messages that were acknowledged on it.
    pub acknowledged: u64,
    /// The oldest message that was in flight, and whether it was the only one.
    pub oldest: Option<(Ticket, bool)>,
    /// Whether the cloud closed it.
    pub closed_by_cloud: bool,
}

/// What the connections before the next one teach.
#[derive(Debug, Clone, Default)]
pub struct Caution {
    /// Connections in a row on which nothing was acknowledged that was sent.
    fruitless: u32,
    suspect: Option<(usize, u64)>,
    strikes: u32,
    /// Something was set aside, and nothing was acknowledged since.
    set_aside: bool,
}

impl Caution {
    /// Learns from a connection's end; the message to set aside, if one is found out.
    pub fn learn(&mut self, end: End) -> Option<Ticket> {
        if end.acknowledged > 0 {
            *self = Self::default();
            return None;
        }
        let (oldest, alone) = end.oldest?;
        self.fruitless = self.fruitless.saturating_add(1);
        if !(alone && end.closed_by_cloud) {
            return None;
        }
        let suspect = (oldest.stream, oldest.sequence);
        if self.suspect != Some(suspect) {
            (self.suspect, self.strikes) = (Some(suspect), 0);
        }
        self.strikes += 1;
        if self.strikes < STRIKES_MAX || self.set_aside {
            return None;
        }
        self.set_aside = true;
        Some(oldest)
    }

    /// Whether to send one message at a time until one is acknowledged.
    pub fn one_at_a_time(&self) -> bool {
        self.fruitless > 0
    }

    /// By how much to wait longer than `ack_timeout`.
    pub fn patience(&self) -> u32 {
        1 << self.fruitless.min(PATIENCE_DOUBLINGS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed_on(sequence: u64, alone: bool) -> End {
        let ticket = Ticket { stream: 1, sequence, bytes: 10 };
        End { acknowledged: 0, oldest: Some((ticket, alone)), closed_by_cloud: true }
    }

    fn fruitful() -> End {
        End { acknowledged: 1, oldest: None, closed_by_cloud: true }
    }

    #[test]
    fn a_message_on_which_the_cloud_closes_again_and_again_is_set_aside() {
        let mut caution = Caution::default();
        assert_eq!(caution.learn(closed_on(7, false)), None, "it may have been another");
        assert!(caution.one_at_a_time());
        assert_eq!(caution.learn(closed_on(7, true)), None);
        assert_eq!(caution.learn(closed_on(7, true)), None);
        let found = caution.learn(closed_on(7, true)).expect("it is found out");
        assert_eq!((found.stream, found.sequence), (1, 7));
    }

    #[test]
    fn when_the_next_one_fares_no_better_the_message_was_not_the_reason() {
        let mut caution = Caution::default();
        assert!((0..3).any(|_| caution.learn(closed_on(7, true)).is_some()));
        for sequence in 8..20 {
            for _ in 0..10 {
                assert_eq!(caution.learn(closed_on(sequence, true)), None);
            }
        }
        caution.learn(fruitful());
        assert!((0..3).any(|_| caution.learn(closed_on(30, true)).is_some()));
    }

    #[test]
    fn a_network_that_breaks_condemns_no_message() {
        let mut caution = Caution::default();
        for _ in 0..100 {
            let end = End { closed_by_cloud: false, ..closed_on(7, true) };
            assert_eq!(caution.learn(end), None);
        }
    }

    #[test]
    fn fruitless_connections_make_patient_within_bounds_and_a_fruitful_one_ends_it() {
        let mut caution = Caution::default();
        assert_eq!((caution.patience(), caution.one_at_a_time()), (1, false));
        let patience: Vec<u32> = (0..6)
            .map(|_| {
                caution.learn(End { closed_by_cloud: false, ..closed_on(7, false) });
                caution.patience()
            })
            .collect();
        assert_eq!(patience, [2, 4, 8, 16, 16, 16]);
        caution.learn(fruitful());
        assert_eq!((caution.patience(), caution.one_at_a_time()), (1, false));
    }

    #[test]
    fn a_connection_on_which_nothing_was_sent_teaches_nothing() {
        let mut caution = Caution::default();
        caution.learn(closed_on(7, false));
        let idle = End { acknowledged: 0, oldest: None, closed_by_cloud: true };
        caution.learn(idle);
        assert_eq!(caution.patience(), 2);
    }
}
