//! Every operation on the disk fails once, or from then on until the disk is healed.

use std::io::ErrorKind;

use super::{
    harness::Coding,
    model::{Action, Model},
    power_cuts::{LIMIT, POLICIES, kind},
    seeds::{Seeds, Tally},
};
use crate::{
    Condition,
    disk::simulated::{Failure, Loss, SimulatedDisk},
};

const FAILURES: [Failure; 4] = [
    Failure::Error(ErrorKind::Other),
    Failure::Error(ErrorKind::StorageFull),
    Failure::Short,
    Failure::Late,
];
/// A failure is one of these, once or lasting.
const WAYS: u64 = FAILURES.len() as u64 * 2;
/// What the whole must come to.
const CASES_MIN: u64 = 2_000;

/// Rotation, eviction or refusal, draining, spares, restarts: everything that writes.
fn script() -> Vec<Action> {
    let everything = || Action::Acknowledge { spare: 0, at_most: usize::MAX };
    let mut actions = vec![
        Action::Append(vec![(0, 100), (1, 300)]),
        Action::Acknowledge { spare: 0x11, at_most: 1 },
        Action::Tend,
        Action::Append(vec![(2, 700); 30]),
        Action::KillAndOpen,
    ];
    actions.extend((0..5).map(|_| Action::Append(vec![(1, 800); 17])));
    actions.extend([Action::Tend, everything(), Action::Tend]);
    actions.extend((0..4).map(|_| Action::Append(vec![(0, 600); 12])));
    actions.extend([everything(), Action::CloseAndOpen, Action::Append(vec![(2, 5); 3])]);
    actions
}

fn failing(policy: usize, operation: u64, failure: Failure, lasting: bool) -> Tally {
    let disk = SimulatedDisk::default();
    disk.fail_after(operation, failure, lasting);
    let mut model = Model::on(disk, Coding::PLAIN, LIMIT, POLICIES[policy], None);
    for action in script() {
        model.run(&action);
    }
    let struck = model.queue.disk.struck();
    let struck = struck.expect("the script has at least as many operations");

    model.queue.disk.heal();
    model.run(&Action::Acknowledge { spare: 0, at_most: usize::MAX });
    model.run(&Action::Tend);
    model.run(&Action::Append(vec![(0, 50); 2]));
    assert_eq!(model.last_refusal, None, "appends resume by themselves");
    model.run(&Action::Tend);
    assert_eq!(model.queue.condition(), Condition::Healthy);
    model.run(&Action::PowerCut(Loss::Everything, operation));
    model.run(&Action::CloseAndOpen);
    model.run(&Action::Append(vec![(1, 50); 2]));
    assert_eq!(model.last_refusal, None);

    let mut tally = Tally::default();
    tally.count(format!("{failure:?} {}", if lasting { "lasting" } else { "once" }));
    tally.count(format!("at {}", kind(&struck)));
    tally
}

#[test]
fn every_operation_may_fail_and_nothing_acknowledged_is_lost() {
    let counts = [0, 1, 2].map(|policy| {
        let mut model =
            Model::on(SimulatedDisk::default(), Coding::PLAIN, LIMIT, POLICIES[policy], None);
        for action in script() {
            model.run(&action);
        }
        model.queue.disk.changes()
    });
    let seeds = Seeds::numbers(counts.iter().sum::<u64>() * WAYS);
    let begun = std::time::Instant::now();
    let tally = seeds.run("every_operation_may_fail", |number| {
        let (mut operation, way) = (number / WAYS, number % WAYS);
        let mut policy = 0;
        while operation >= counts[policy] {
            operation -= counts[policy];
            policy += 1;
        }
        failing(policy, operation, FAILURES[(way / 2) as usize], way % 2 == 0)
    });
    println!(
        "{} failures of {counts:?} operations under three policies: {tally}; {:?}",
        tally.of("at"),
        begun.elapsed()
    );
    if !seeds.partial {
        assert!(tally.of("at") >= CASES_MIN, "{tally}");
        for what in ["create", "allocate", "write", "sync", "rename", "remove", "truncate"] {
            assert!(tally.of(&format!("at {what}")) > 0, "none at {what}: {tally}");
        }
    }
}
