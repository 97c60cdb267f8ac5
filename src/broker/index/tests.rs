use std::{collections::BTreeSet, sync::atomic::AtomicU64};

use proptest::prelude::*;

use super::*;
use crate::{
    broker::{
        QoS,
        session::{Bounds, SessionKey},
    },
    config::Limits,
    ingest::Source,
};

fn sessions(count: usize) -> Vec<Arc<Session>> {
    let numbers = AtomicU64::new(0);
    let bounds = Bounds::from(&Limits::default());
    (0..count)
        .map(|index| {
            let client_id: Arc<str> = format!("client-{index}").into();
            let key = SessionKey { identity: None, client_id: client_id.clone() };
            Arc::new(Session::new(&numbers, key, Source(client_id), bounds))
        })
        .collect()
}

const PLAIN: Subscribed = Subscribed {
    qos: QoS::AtMostOnce,
    no_local: false,
    retain_as_published: false,
    identifier: None,
};

/// Matching by the words of section 4.7 rather than by the code under test.
fn naive(filter: &[&str], topic: &[&str], first: bool) -> bool {
    match (filter, topic) {
        ([], []) => true,
        (["#"], rest) => !(first && rest.first().is_some_and(|level| level.starts_with('$'))),
        (["+", filter @ ..], [level, topic @ ..]) => {
            !(first && level.starts_with('$')) && naive(filter, topic, false)
        }
        ([wanted, filter @ ..], [level, topic @ ..]) => {
            wanted == level && naive(filter, topic, false)
        }
        _ => false,
    }
}

fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "", "$s", "é"])
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 2 => Just("+")];
    (prop::collection::vec(level, 0..4), any::<bool>()).prop_map(|(mut levels, all_below)| {
        if all_below || levels.is_empty() || levels == [""] {
            levels.push("#");
        }
        levels.join("/")
    })
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic has a character", |topic| !topic.is_empty())
}

proptest! {
    #[test]
    fn the_index_finds_what_a_naive_matcher_finds(
        filters in prop::collection::vec(filter(), 1..20),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        topics in prop::collection::vec(topic(), 1..10),
    ) {
        let sessions = sessions(filters.len());
        let mut index = Index::default();
        let mut live: Vec<_> = filters.iter().zip(&sessions).collect();
        for (filter, session) in &live {
            prop_assert!(index.insert(filter, session, PLAIN));
        }
        for gone in removed {
            if live.is_empty() {
                break;
            }
            let (filter, session) = live.swap_remove(gone.index(live.len()));
            prop_assert!(index.remove(filter, session));
            prop_assert!(!index.remove(filter, session));
        }
        for name in &topics {
            let found: BTreeSet<u64> =
                index.matches(name).entries.iter().map(|entry| entry.session.number).collect();
            let levels: Vec<_> = name.split('/').collect();
            let expected: BTreeSet<u64> = live
                .iter()
                .filter(|(filter, _)| {
                    let by_index = naive(&filter.split('/').collect::<Vec<_>>(), &levels, true);
                    assert_eq!(by_index, topic::matches(filter, name), "{filter} {name}");
                    by_index
                })
                .map(|(_, session)| session.number)
                .collect();
            prop_assert_eq!(found, expected, "{}", name);
        }
    }

    #[test]
    fn an_index_from_which_all_is_removed_is_as_small_as_a_new_one(
        filters in prop::collection::btree_set(filter(), 1..20),
    ) {
        let sessions = sessions(2);
        let mut index = Index::default();
        for filter in &filters {
            index.insert(filter, &sessions[0], PLAIN);
            index.insert(&format!("$share/g/{filter}"), &sessions[1], PLAIN);
        }
        for filter in &filters {
            index.remove(filter, &sessions[0]);
            index.remove(&format!("$share/g/{filter}"), &sessions[1]);
        }
        prop_assert_eq!(index.len(), 0);
        prop_assert!(index.root.is_empty());
    }
}

#[test]
fn subscribing_again_replaces_the_options_and_adds_no_entry() {
    let sessions = sessions(1);
    let mut index = Index::default();
    assert!(index.insert("a/+", &sessions[0], PLAIN));
    let again = Subscribed { qos: QoS::ExactlyOnce, ..PLAIN };
    assert!(!index.insert("a/+", &sessions[0], again));
    let found = index.matches("a/b");
    assert_eq!(found.entries.len(), 1);
    assert_eq!(found.entries[0].subscribed.qos, QoS::ExactlyOnce);
}

#[test]
fn the_members_of_a_group_take_turns() {
    let sessions = sessions(3);
    let mut index = Index::default();
    for session in &sessions {
        index.insert("$share/g/a", session, PLAIN);
    }
    let firsts: Vec<u64> = (0..6)
        .map(|_| {
            let found = index.matches("a");
            assert!(found.entries.is_empty());
            assert_eq!(found.groups.len(), 1);
            let first = found.groups[0].in_turn().next();
            first.expect("a group has members").session.number
        })
        .collect();
    assert_eq!(firsts, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn groups_of_different_names_each_get_the_message() {
    let sessions = sessions(2);
    let mut index = Index::default();
    index.insert("$share/g/a", &sessions[0], PLAIN);
    index.insert("$share/h/a", &sessions[1], PLAIN);
    assert_eq!(index.matches("a").groups.len(), 2);
}
