//! Answers that a device still owes, and which therefore must not be taken for the next one's.
//!
//! A device answers in order. A request that got no answer in time may still be answered later,
//! however late; on a serial line nothing in that answer says which request it belongs to. So
//! after a failure the answer to a request of the same shape is not believed until an answer of
//! another shape has come, which proves that everything before it was answered or lost.

use std::time::{Duration, Instant};

/// A device that has not answered for this long has dropped the request.
const OWED_MAX: Duration = Duration::from_secs(30);

/// The most answers remembered. Beyond it nothing is believed until they age.
const ANSWERS_MAX: usize = 16;

/// The answers one unit owes.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    answers: Vec<(Vec<u8>, Instant)>,
}

impl Owed {
    /// A request of this shape was sent and got no answer.
    pub(crate) fn add(&mut self, shape: &[u8], now: Instant) {
        self.forget_old(now);
        if self.answers.len() == ANSWERS_MAX {
            self.answers.remove(0);
        }
        self.answers.push((shape.to_vec(), now));
    }

    /// Whether an answer of this shape could be an earlier one's.
    pub(crate) fn could_be(&mut self, shape: &[u8], now: Instant) -> bool {
        self.forget_old(now);
        self.answers.len() == ANSWERS_MAX || self.answers.iter().any(|(owed, _)| owed == shape)
    }

    /// Whether anything is owed.
    pub(crate) fn is_empty(&mut self, now: Instant) -> bool {
        self.forget_old(now);
        self.answers.is_empty()
    }

    /// An answer came whose shape is owed by nobody else: everything before it is settled.
    pub(crate) fn settle(&mut self) {
        self.answers.clear();
    }

    /// An exception came in answer to a request of this shape, or to one before it. One answer
    /// fewer is owed, and the new request's may be among those left.
    pub(crate) fn settle_one(&mut self, shape: &[u8], now: Instant) {
        self.forget_old(now);
        if !self.answers.is_empty() {
            self.answers.remove(0);
            self.answers.push((shape.to_vec(), now));
        }
    }

    fn forget_old(&mut self, now: Instant) {
        self.answers.retain(|(_, since)| now.saturating_duration_since(*since) < OWED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_same_shape_is_not_believed_after_a_failure() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(&[3, 20], now);
        assert!(owed.could_be(&[3, 20], now));
        assert!(!owed.could_be(&[3, 2], now));
        owed.settle();
        assert!(!owed.could_be(&[3, 20], now));
    }

    #[test]
    fn a_device_owes_nothing_after_half_a_minute() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(&[3, 20], now);
        assert!(owed.could_be(&[3, 20], now + Duration::from_secs(29)));
        assert!(!owed.could_be(&[3, 20], now + OWED_MAX));
        assert!(owed.is_empty(now + OWED_MAX));
    }

    #[test]
    fn an_exception_settles_one_answer_and_leaves_its_own_request_in_doubt() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(&[3, 20], now);
        owed.settle_one(&[3, 2], now);
        assert!(!owed.could_be(&[3, 20], now));
        assert!(owed.could_be(&[3, 2], now));
    }

    #[test]
    fn a_device_that_owes_too_many_answers_is_not_believed_at_all() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        for bytes in 0..40 {
            owed.add(&[3, bytes], now);
        }
        assert!(owed.could_be(&[4, 99], now));
        assert_eq!(owed.answers.len(), ANSWERS_MAX);
    }
}
