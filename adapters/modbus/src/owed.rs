//! Answers that a unit still owes, and which therefore must not be taken for the next one's.
//!
//! A unit answers in order. A request that got no answer in time may still be answered later,
//! however late; on a serial line nothing in that answer says which request it belongs to, except
//! its shape (function and length). So after a failure the answer to a request of the same shape
//! is not believed until an answer of another shape has come, which proves that everything that
//! was asked before it is answered or lost.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A unit that has not answered for this long has dropped the request.
const OWED_MAX: Duration = Duration::from_secs(30);

/// The most answers kept in mind. With so many the unit is not asked until the oldest are too old.
const ANSWERS_MAX: usize = 64;

/// The answers one unit owes, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    answers: VecDeque<(Vec<u8>, Instant)>,
}

impl Owed {
    /// Whether no more can be kept in mind.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.forget_old(now);
        self.answers.len() >= ANSWERS_MAX
    }

    /// Whether an answer of this shape could be an earlier one's.
    pub(crate) fn could_be(&mut self, shape: &[u8], now: Instant) -> bool {
        self.forget_old(now);
        self.answers.iter().any(|(owed, _)| owed == shape)
    }

    /// A request of this shape was sent and got no answer.
    pub(crate) fn add(&mut self, shape: &[u8], now: Instant) {
        if !self.is_full(now) {
            self.answers.push_back((shape.to_vec(), now));
        }
    }

    /// After a request of this shape, an answer of this shape came.
    pub(crate) fn answered(&mut self, shape: &[u8], now: Instant) {
        self.settle(shape, now, |owed| owed == shape);
    }

    /// After a request of this shape, an exception to its function came. Returns whether it is
    /// surely the answer to this request.
    pub(crate) fn refused(&mut self, shape: &[u8], now: Instant) -> bool {
        self.settle(shape, now, |owed| owed.first() == shape.first())
    }

    /// The answer that came belongs to the first request it fits, or to a later one; whatever
    /// was asked before that is settled. Returns whether only the newest request fits.
    fn settle(&mut self, newest: &[u8], now: Instant, fits: impl Fn(&[u8]) -> bool) -> bool {
        self.forget_old(now);
        let first = self.answers.iter().position(|(owed, _)| fits(owed));
        match first {
            None => self.answers.clear(),
            Some(first) => {
                self.answers.drain(..=first);
                self.answers.push_back((newest.to_vec(), now));
            }
        }
        first.is_none()
    }

    fn forget_old(&mut self, now: Instant) {
        self.answers.retain(|(_, since)| now.saturating_duration_since(*since) < OWED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG: &[u8] = &[3, 20];
    const SHORT: &[u8] = &[3, 2];

    #[test]
    fn an_answer_of_the_same_shape_is_not_believed_after_a_failure() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(LONG, now);
        assert!(owed.could_be(LONG, now));
        assert!(!owed.could_be(SHORT, now));
    }

    #[test]
    fn an_answer_of_another_shape_settles_all_that_was_asked_before_it() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(LONG, now);
        owed.add(LONG, now);
        owed.answered(SHORT, now);
        assert!(!owed.could_be(LONG, now));
        assert!(!owed.could_be(SHORT, now));
    }

    #[test]
    fn an_answer_that_two_requests_fit_settles_only_up_to_the_first_of_them() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(LONG, now);
        owed.add(SHORT, now);
        owed.answered(SHORT, now);
        assert!(!owed.could_be(LONG, now), "what was asked before both is settled");
        assert!(owed.could_be(SHORT, now), "one of the two is still owed");
    }

    #[test]
    fn an_exception_settles_the_first_of_its_function_and_is_certain_only_if_nothing_was_owed() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        assert!(owed.refused(SHORT, now));
        owed.add(LONG, now);
        assert!(!owed.refused(SHORT, now));
        assert!(!owed.could_be(LONG, now));
        assert!(owed.could_be(SHORT, now));
    }

    #[test]
    fn a_unit_owes_nothing_after_half_a_minute() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(LONG, now);
        assert!(owed.could_be(LONG, now + Duration::from_secs(29)));
        assert!(!owed.could_be(LONG, now + OWED_MAX));
    }

    #[test]
    fn what_is_kept_in_mind_is_bounded_and_a_unit_that_owes_so_much_is_left_alone() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        for _ in 0..1_000 {
            owed.add(LONG, now);
        }
        assert_eq!(owed.answers.len(), ANSWERS_MAX);
        assert!(owed.is_full(now));
        assert!(!owed.is_full(now + OWED_MAX));
    }

    proptest! {
        /// A unit that loses some requests and answers the others in order, any time later,
        /// is asked as the bus does it; what is believed is always the newest request's answer.
        #[test]
        fn no_answer_is_ever_believed_that_belongs_to_an_earlier_request(
            steps in prop::collection::vec((0..3_u8, any::<bool>(), 0..4_usize), 1..80),
        ) {
            let (mut owed, now) = (Owed::default(), Instant::now());
            // The answers on their way, as (number of the request, shape).
            let mut under_way: VecDeque<(usize, u8)> = VecDeque::new();
            for (number, (shape, lost, arriving)) in steps.into_iter().enumerate() {
                let believable = !owed.could_be(&[3, shape], now);
                if !lost {
                    under_way.push_back((number, shape));
                }
                // So many answers arrive before this request's deadline; the first that fits
                // is taken, others are discarded.
                let arrived: Vec<_> = (0..arriving).filter_map(|_| under_way.pop_front()).collect();
                match arrived.iter().position(|(_, other)| *other == shape) {
                    Some(taken) => {
                        if believable {
                            prop_assert_eq!(arrived[taken].0, number);
                        }
                        owed.answered(&[3, shape], now);
                        // What arrives behind the answer stays on the line for the next one.
                        for late in arrived[taken + 1..].iter().rev() {
                            under_way.push_front(*late);
                        }
                    }
                    None => owed.add(&[3, shape], now),
                }
            }
        }
    }
}
