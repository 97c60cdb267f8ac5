//! Answers that a unit still owes, and which therefore must not be taken for the next one's.
//!
//! A unit answers in order. A request that got no answer in time may still be answered later,
//! however late; on a serial line nothing in that answer says which request it belongs to, except
//! its shape (function and length). So after a failure the answer to a request of the same shape
//! is not believed until an answer of another shape has come, which proves that everything that
//! was asked before it is answered or lost.

use std::time::{Duration, Instant};

/// A unit that has not answered for this long has dropped the request.
const OWED_MAX: Duration = Duration::from_secs(30);

/// The most shapes kept in mind. With so many the unit is not asked until some are too old.
const SHAPES_MAX: usize = 64;

/// The answers one unit owes, by shape.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    shapes: Vec<Account>,
    /// Numbers the requests that go into this account.
    next: u64,
}

/// The requests of one shape whose answers may still come.
#[derive(Debug)]
struct Account {
    shape: Vec<u8>,
    /// None of them has a lower number than this.
    first: u64,
    /// The number of the newest.
    last: u64,
    /// When the newest was sent.
    since: Instant,
}

impl Owed {
    /// Whether no more can be kept in mind.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.forget_old(now);
        self.shapes.len() >= SHAPES_MAX
    }

    /// Whether an answer of this shape could be an earlier one's.
    pub(crate) fn could_be(&mut self, shape: &[u8], now: Instant) -> bool {
        self.forget_old(now);
        self.shapes.iter().any(|owed| owed.shape == shape)
    }

    /// A request of this shape was sent and got no answer.
    pub(crate) fn add(&mut self, shape: &[u8], now: Instant) {
        let number = self.next;
        self.next += 1;
        let full = self.is_full(now);
        match self.shapes.iter_mut().find(|owed| owed.shape == shape) {
            Some(owed) => (owed.last, owed.since) = (number, now),
            None if full => {}
            None => {
                let shape = shape.to_vec();
                self.shapes.push(Account { shape, first: number, last: number, since: now });
            }
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
        let fitting = self.shapes.iter().filter(|owed| fits(&owed.shape));
        let Some(settled) = fitting.map(|owed| owed.first).min() else {
            self.shapes.clear();
            return true;
        };
        self.shapes.retain_mut(|owed| {
            owed.first = owed.first.max(settled + 1);
            owed.first <= owed.last
        });
        self.add(newest, now);
        false
    }

    fn forget_old(&mut self, now: Instant) {
        self.shapes.retain(|owed| now.saturating_duration_since(owed.since) < OWED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

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
    fn any_number_of_failures_is_forgotten_after_one_answer_of_another_shape() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        owed.add(LONG, now);
        for _ in 0..1_000 {
            owed.add(SHORT, now);
        }
        assert_eq!(owed.shapes.len(), 2);
        owed.answered(SHORT, now);
        assert!(!owed.could_be(LONG, now));
    }

    #[test]
    fn what_is_kept_in_mind_is_bounded_and_a_unit_that_owes_so_much_is_left_alone() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        for number in 0..1_000_u16 {
            owed.add(&number.to_be_bytes(), now);
        }
        assert_eq!(owed.shapes.len(), SHAPES_MAX);
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
