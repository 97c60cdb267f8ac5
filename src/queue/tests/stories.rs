//! Stories of a queue, told to it and to the model beside it, and compared after each step.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    harness::{Coding, SMALL},
    model::{Action, Batch, Model},
};
use crate::{
    OnFull,
    disk::simulated::{Loss, SimulatedDisk},
};

/// Some of what waits in a story becomes older.
const AGE_MAX: Duration = Duration::from_secs(150);

/// Half of the stories are told in plain frames.
fn coding() -> impl Strategy<Value = Coding> {
    let every: Vec<_> = Coding::all().collect();
    prop_oneof![Just(Coding::PLAIN), proptest::sample::select(every)]
}

fn loss() -> impl Strategy<Value = Loss> {
    proptest::sample::select(&Loss::ALL[..])
}

fn batch() -> impl Strategy<Value = Batch> {
    proptest::collection::vec((0u8..3, 0u16..900), 1..25)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => batch().prop_map(Action::Append),
        4 => (any::<u8>(), 1usize..60)
            .prop_map(|(spare, at_most)| Action::Acknowledge { spare, at_most }),
        1 => (1usize..9, 1usize..3000).prop_map(|(records, bytes)| Action::Peek(records, bytes)),
        2 => Just(Action::Tend),
        1 => Just(Action::CloseAndOpen),
        1 => Just(Action::KillAndOpen),
        1 => (loss(), any::<u64>()).prop_map(|(loss, seed)| Action::PowerCut(loss, seed)),
        3 => (loss(), any::<u64>(), 0u64..14, batch())
            .prop_map(|(loss, seed, after, batch)| Action::CutDuring(loss, seed, after, batch)),
        2 => (0u64..14, batch()).prop_map(|(after, batch)| Action::KillDuring(after, batch)),
        1 => (loss(), any::<u64>(), 0u64..7)
            .prop_map(|(loss, seed, after)| Action::CutWhileOpening(loss, seed, after)),
        1 => any::<u64>().prop_map(Action::Flip),
        1 => (0u64..100_000).prop_map(Action::Wait),
    ]
}

fn run(on_full: OnFull, coding: Coding, actions: &[Action]) {
    let mut model = Model::on(SimulatedDisk::default(), coding, SMALL, on_full, Some(AGE_MAX));
    for action in actions {
        model.run(action);
    }
    model.run(&Action::CloseAndOpen);
}

/// How many stories each test tells; `HOLDFAST_MODEL_CASES` asks for more. A story that fails is
/// printed with its seed.
fn cases() -> u32 {
    std::env::var("HOLDFAST_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(250)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_records_survive_every_crash(
        coding in coding(),
        actions in proptest::collection::vec(action(), 1..40),
    ) {
        run(OnFull::Reject, coding, &actions);
    }

    #[test]
    fn only_what_was_given_up_is_missing_under_drop_oldest(
        coding in coding(),
        actions in proptest::collection::vec(action(), 1..40),
    ) {
        run(OnFull::DropOldest, coding, &actions);
    }

    #[test]
    fn dropped_newest_records_are_counted_across_crashes(
        coding in coding(),
        actions in proptest::collection::vec(action(), 1..40),
    ) {
        run(OnFull::DropNewest, coding, &actions);
    }
}
