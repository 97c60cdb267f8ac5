use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::command::deadline::{Said, Validity};

fn moment(millis: u64) -> Moment {
    Moment { boot: 1, monotonic_millis: millis, wall_millis: 0, wall_trusted: false }
}

fn entry(id: &str, device: &str) -> Entry {
    Entry {
        id: id.to_owned(),
        order: Order::Write {
            device: DeviceName::try_from(device.to_owned()).unwrap(),
            point: "p".to_owned(),
            value: holdfast_adapter_api::Value::Int(1),
        },
        validity: Validity::new(Said::default(), Duration::from_mins(1)),
        received: moment(0),
        epoch: 1,
        stage: Stage::Pending,
    }
}

fn take_in(inbox: &mut Inbox, id: &str, device: &str) -> Option<u64> {
    let entry = entry(id, device);
    (inbox.admit(id, entry.weight()) == Admission::New).then(|| {
        let number = inbox.next_number();
        inbox.insert(number, entry);
        number
    })
}

fn settle(inbox: &mut Inbox, number: u64) -> Leaving {
    let leaving = inbox.leaving();
    inbox.leave(number, &leaving);
    leaving
}

fn status(inbox: &Inbox, number: u64, now: Moment) -> Option<Status> {
    match inbox.step(number, now) {
        Some(Step::Settle(report)) => Some(report.status),
        _ => None,
    }
}

#[test]
fn an_id_is_known_while_its_command_waits_and_after_it_is_settled() {
    let mut inbox = Inbox::new(10);
    let number = take_in(&mut inbox, "a", "m").unwrap();
    assert_eq!(inbox.admit("a", 0), Admission::Duplicate);
    settle(&mut inbox, number);
    assert_eq!(inbox.len(), 0);
    assert_eq!(inbox.admit("a", 0), Admission::Duplicate);
}

#[test]
fn a_full_inbox_takes_no_more_by_number_or_by_bytes() {
    let mut inbox = Inbox::new(2);
    take_in(&mut inbox, "a", "m").unwrap();
    let second = take_in(&mut inbox, "b", "m").unwrap();
    assert_eq!(inbox.admit("c", 0), Admission::Full);
    assert_eq!(inbox.admit("a", 0), Admission::Duplicate, "a duplicate needs no room");
    settle(&mut inbox, second);
    assert_eq!(inbox.admit("c", 0), Admission::New);
    assert_eq!(inbox.admit("c", WAITING_BYTES_MAX), Admission::Full);
}

#[test]
fn what_a_command_took_is_given_back_when_it_leaves() {
    let mut inbox = Inbox::new(10_000);
    for n in 0..5_000 {
        let mut entry = entry(&n.to_string(), "m");
        entry.order = Order::Publish {
            topic: "t".into(),
            payload: Bytes::from(vec![0; 1024 * 1024]),
            qos: 0,
            retain: false,
        };
        assert_eq!(inbox.admit(&entry.id, entry.weight()), Admission::New, "{n}");
        let number = inbox.next_number();
        inbox.insert(number, entry);
        settle(&mut inbox, number);
    }
}

#[test]
fn only_the_oldest_settled_id_is_forgotten_for_a_new_one() {
    let mut inbox = Inbox::new(10);
    for n in 0..REMEMBERED_MAX {
        let number = take_in(&mut inbox, &n.to_string(), "m").unwrap();
        assert!(settle(&mut inbox, number).forgotten.is_empty());
    }
    let number = take_in(&mut inbox, "one more", "m").unwrap();
    assert_eq!(settle(&mut inbox, number).forgotten, [0]);
    assert_eq!(inbox.admit("0", 0), Admission::New);
    assert_eq!(inbox.admit("1", 0), Admission::Duplicate);
}

#[test]
fn commands_of_a_device_come_in_order_of_arrival() {
    let mut inbox = Inbox::new(10);
    let [a, b] = [("a", "m-1"), ("b", "m-2")].map(|(id, m)| take_in(&mut inbox, id, m).unwrap());
    let c = take_in(&mut inbox, "c", "m-1").unwrap();
    let name = |name: &str| DeviceName::try_from(name.to_owned()).unwrap();
    assert_eq!(inbox.first_for(&name("m-1")), Some(a));
    assert_eq!(inbox.first_for(&name("m-2")), Some(b));
    settle(&mut inbox, a);
    assert_eq!(inbox.first_for(&name("m-1")), Some(c));
    assert_eq!(inbox.first_for(&name("m-3")), None);
    assert_eq!(inbox.orphans(|device| *device == name("m-1")), [b]);
}

#[test]
fn a_command_found_started_is_unknown_and_not_carried_out() {
    let mut inbox = Inbox::new(10);
    let started = Entry { stage: Stage::Started, ..entry("a", "m") };
    assert!(inbox.restore(4, started, 1, moment(10)));
    assert_eq!(status(&inbox, 4, moment(10)), Some(Status::Unknown));
    assert_eq!(inbox.next_number(), 5);
}

#[test]
fn a_command_from_before_a_repair_of_the_state_store_is_unknown() {
    let mut inbox = Inbox::new(10);
    assert!(inbox.restore(0, entry("a", "m"), 2, moment(10)));
    assert_eq!(status(&inbox, 0, moment(10)), Some(Status::Unknown));
}

#[test]
fn an_outcome_found_on_disk_is_reported_as_it_was() {
    let mut inbox = Inbox::new(10);
    let report = Report::new(Status::Done, None, moment(5));
    let finished = Entry { stage: Stage::Finished(report.clone()), ..entry("a", "m") };
    let bytes = finished.to_bytes();
    assert!(inbox.restore(0, Entry::from_bytes(&bytes).unwrap(), 2, moment(10)));
    assert_eq!(inbox.step(0, moment(99_999_999)), Some(Step::Settle(report)));
}

#[test]
fn a_command_that_is_on_disk_twice_or_settled_already_is_taken_back_once() {
    let mut inbox = Inbox::new(10);
    inbox.restore_seen(0, "settled".into());
    assert!(!inbox.restore(0, entry("settled", "m"), 1, moment(0)));
    assert!(inbox.restore(1, entry("a", "m"), 1, moment(0)));
    assert!(!inbox.restore(2, entry("a", "m"), 1, moment(0)));
    assert_eq!((inbox.len(), inbox.next_number()), (1, 3));
}

#[test]
fn a_command_past_its_time_is_expired_whatever_its_place() {
    let mut inbox = Inbox::new(10);
    let number = take_in(&mut inbox, "a", "m").unwrap();
    assert_eq!(inbox.step(number, moment(59_999)), Some(Step::Carry(Duration::from_millis(1))));
    assert_eq!(status(&inbox, number, moment(60_000)), Some(Status::Expired));
    assert_eq!(inbox.time_left(number, moment(60_000)), None);
    assert_eq!(inbox.step(number + 1, moment(0)), None);
}

proptest! {
    /// Against a model that remembers everything: an id comes in twice only after it left and
    /// was followed out by REMEMBERED_MAX others.
    #[test]
    fn an_id_comes_in_again_only_after_it_was_forgotten(
        steps in proptest::collection::vec((0..1_500u32, any::<bool>()), 0..6_000),
    ) {
        let mut inbox = Inbox::new(40);
        let mut waiting: Vec<(u64, u32)> = Vec::new();
        let mut left: Vec<u32> = Vec::new();
        for (id, leave) in steps {
            if leave && !waiting.is_empty() {
                let (number, id) = waiting.remove(id as usize % waiting.len());
                settle(&mut inbox, number);
                left.push(id);
            } else {
                let recent = &left[left.len().saturating_sub(REMEMBERED_MAX)..];
                let known = recent.contains(&id) || waiting.iter().any(|(_, other)| *other == id);
                let expected = match (known, waiting.len() < 40) {
                    (true, _) => Admission::Duplicate,
                    (false, true) => Admission::New,
                    (false, false) => Admission::Full,
                };
                prop_assert_eq!(inbox.admit(&id.to_string(), 1), expected);
                if let Some(number) = take_in(&mut inbox, &id.to_string(), "m") {
                    waiting.push((number, id));
                }
            }
        }
        prop_assert_eq!(inbox.len(), waiting.len());
    }
}
