use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(30);

fn ticket(sequence: u64) -> Ticket {
    Ticket { stream: 0, sequence, bytes: 10 }
}

#[test]
fn acknowledgements_in_any_order_settle_what_was_sent_under_their_identifier() {
    let now = Instant::now();
    let mut window = Window::new(10, 1_000, now);
    let pkids: Vec<u16> = (0..10).map(|n| window.submit(ticket(n), now)).collect();
    assert!(!window.has_room(1));
    for n in [3, 0, 9, 1, 2, 8, 4, 7, 5, 6] {
        let settled = window.acknowledge(pkids[n], now);
        assert_eq!(settled, Some(ticket(n as u64)));
    }
    assert_eq!(window.messages(), 0);
    assert_eq!(window.deadline(TIMEOUT), None);
}

#[test]
fn an_acknowledgement_that_comes_twice_or_for_nothing_changes_nothing() {
    let now = Instant::now();
    let mut window = Window::new(10, 1_000, now);
    let first = window.submit(ticket(0), now);
    let second = window.submit(ticket(1), now);
    assert!(window.acknowledge(second, now).is_some());
    for pkid in [second, 0, 3, PKID_MAX, PKID_MAX + 1, u16::MAX] {
        assert_eq!(window.acknowledge(pkid, now), None, "{pkid}");
    }
    assert_eq!(window.messages(), 1);
    assert!(window.acknowledge(first, now).is_some());
    assert_eq!(window.acknowledge(first, now), None);
}

#[test]
fn identifiers_wrap_and_are_never_zero_and_never_used_twice_at_once() {
    let now = Instant::now();
    let mut window = Window::new(100, 10_000, now);
    let mut open = VecDeque::new();
    for n in 0..200_000 {
        while !window.has_room(10) {
            let pkid = open.pop_front().unwrap();
            assert!(window.acknowledge(pkid, now).is_some());
        }
        let pkid = window.submit(ticket(n), now);
        assert!((1..=PKID_MAX).contains(&pkid));
        assert!(!open.contains(&pkid));
        open.push_back(pkid);
    }
}

#[test]
fn a_full_window_opens_with_the_first_acknowledgement() {
    let now = Instant::now();
    for messages_max in 1..50 {
        let mut window = Window::new(messages_max, usize::MAX, now);
        for round in 0..3 {
            while window.has_room(10) {
                window.submit(ticket(0), now);
            }
            assert_eq!(window.messages(), usize::from(messages_max), "round {round}");
            assert!(!window.has_room(10));
            assert!(window.acknowledge(window.first, now).is_some());
            assert!(window.has_room(10));
        }
    }
}

#[test]
fn bytes_bound_the_window_but_a_large_message_travels_alone() {
    let now = Instant::now();
    let mut window = Window::new(100, 100, now);
    let large = Ticket { stream: 0, sequence: 0, bytes: 5_000 };
    assert!(window.has_room(large.bytes));
    let pkid = window.submit(large, now);
    assert!(!window.has_room(1));
    window.acknowledge(pkid, now);
    window.submit(ticket(1), now);
    assert!(!window.has_room(91));
    assert!(window.has_room(90));
}

#[test]
fn a_line_on_which_nothing_is_acknowledged_is_given_up_after_the_timeout() {
    let start = Instant::now();
    let mut window = Window::new(10, 1_000, start);
    let later = start + Duration::from_hours(1);
    assert_eq!(window.overdue(TIMEOUT, later), None, "nothing is in flight");
    let pkid = window.submit(ticket(0), later);
    window.submit(ticket(1), later);
    assert_eq!(window.deadline(TIMEOUT), Some(later + TIMEOUT));
    assert_eq!(window.overdue(TIMEOUT, later + Duration::from_millis(29_999)), None);
    assert_eq!(window.overdue(TIMEOUT, later + TIMEOUT), Some(Overdue::Silent));
    window.acknowledge(pkid, later + TIMEOUT);
    assert_eq!(window.overdue(TIMEOUT, later + TIMEOUT), None);
}

#[test]
fn one_missing_acknowledgement_does_not_hold_the_line_for_ever() {
    let start = Instant::now();
    let mut window = Window::new(10, 1_000, start);
    window.submit(ticket(0), start);
    let mut now = start;
    for n in 1..60 {
        let pkid = window.submit(ticket(n), now);
        now += Duration::from_secs(1);
        assert!(window.acknowledge(pkid, now).is_some());
        let expected = (n > 30).then_some(Overdue::PassedOver(ticket(0)));
        assert_eq!(window.overdue(TIMEOUT, now), expected, "after {n} s");
    }
}

#[test]
fn a_missing_acknowledgement_never_lets_an_identifier_come_round_again() {
    let now = Instant::now();
    let mut window = Window::new(4, 1_000, now);
    let stuck = window.submit(ticket(0), now);
    let mut sent = 1;
    while window.has_room(10) {
        let pkid = window.submit(ticket(sent), now);
        assert_ne!(pkid, stuck);
        window.acknowledge(pkid, now);
        sent += 1;
    }
    assert_eq!(sent, 4 * SPAN_PER_MESSAGE as u64);
    window.acknowledge(stuck, now);
    assert!(window.has_room(10));
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    /// Acknowledges the n-th open message.
    Acknowledge(usize),
    /// Acknowledges an arbitrary identifier.
    Noise(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_usize..300).prop_map(Step::Send),
        3 => (0_usize..40).prop_map(Step::Acknowledge),
        1 => any::<u16>().prop_map(Step::Noise),
    ]
}

proptest! {
    /// Against a map from identifier to ticket, over random sequences.
    #[test]
    fn a_window_agrees_with_a_plain_map(
        messages_max in 1_u16..40,
        steps in proptest::collection::vec(step(), 1..600),
    ) {
        let now = Instant::now();
        let mut window = Window::new(messages_max, 2_000, now);
        let mut model: BTreeMap<u16, Ticket> = BTreeMap::new();
        let mut order: Vec<u64> = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(bytes) if window.has_room(bytes) => {
                    let ticket = Ticket { stream: n % 3, sequence: n as u64, bytes };
                    let pkid = window.submit(ticket, now);
                    prop_assert!(model.insert(pkid, ticket).is_none());
                    order.push(ticket.sequence);
                }
                Step::Send(_) => {}
                Step::Acknowledge(index) => {
                    if let Some((&pkid, &ticket)) = model.iter().nth(index) {
                        model.remove(&pkid);
                        prop_assert_eq!(window.acknowledge(pkid, now), Some(ticket));
                    }
                }
                Step::Noise(pkid) => {
                    prop_assert_eq!(window.acknowledge(pkid, now), model.remove(&pkid));
                }
            }
            prop_assert_eq!(window.messages(), model.len());
            prop_assert!(model.len() <= usize::from(messages_max));
            let bytes: usize = model.values().map(|ticket| ticket.bytes).sum();
            prop_assert!(bytes <= 2_000 || model.len() == 1);
            let open: Vec<u64> = window.open().map(|ticket| ticket.sequence).collect();
            order.retain(|sequence| model.values().any(|ticket| ticket.sequence == *sequence));
            prop_assert_eq!(open, order.clone());
        }
    }
}
