//! Ten thousand power cuts, at random points and at every single operation on the disk.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    harness::{Chance, Coding},
    model::{Action, Batch, Model},
    seeds::{Seeds, Tally},
};
use crate::{
    OnFull,
    disk::simulated::{Loss, Op, SimulatedDisk},
};

/// Four segments of the shortest kind, so that streams fill up and segments are used again.
pub(super) const LIMIT: u64 = 64 * 1024;
const AGE_MAX: Duration = Duration::from_mins(1);
pub(super) const POLICIES: [OnFull; 3] = [OnFull::DropOldest, OnFull::DropNewest, OnFull::Reject];
const LOSSES: u64 = Loss::ALL.len() as u64;
/// What the whole of this file must come to.
const CUTS_MIN: u64 = 10_000;
/// Random stories, of so many actions each.
const STORIES: u64 = 1_100;
const ACTIONS: usize = 16;

/// The kind of file an operation was about, and the operation.
pub(super) fn kind((op, path): &(Op, PathBuf)) -> String {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let file = match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
        Some("seg") => "segment",
        Some("spare") => "spare",
        Some("0" | "1") => "cursor",
        _ if name == "ballast" => "ballast",
        _ => "folder",
    };
    format!("{op:?} {file}").to_lowercase()
}

/// Counts a power cut, after which the queue was opened.
fn note(tally: &mut Tally, model: &Model, struck: Option<(Op, PathBuf)>, loss: Loss) {
    tally.count(format!("loss {loss:?}"));
    tally.count(format!("at {}", struck.map_or("rest".to_owned(), |struck| kind(&struck))));
    let recovery = &model.queue.recovery;
    recovery.torn.iter().for_each(|_| tally.count(format!("torn by {loss:?}")));
    recovery.damage.iter().for_each(|_| tally.count(format!("damaged by {loss:?}")));
}

struct Story(Chance);

impl Story {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn loss(&mut self) -> Loss {
        Loss::ALL[self.below(LOSSES) as usize]
    }

    fn batch(&mut self) -> Batch {
        // Mostly short ones, now and then one that fills more than a segment.
        let (records, bytes) = if self.below(4) == 0 { (30, 900) } else { (8, 500) };
        let count = 1 + self.below(records);
        (0..count).map(|_| (self.below(3) as u8, self.below(bytes) as u16)).collect()
    }

    fn quiet(&mut self) -> Action {
        match self.below(16) {
            0..=6 => Action::Append(self.batch()),
            7..=9 => {
                let (spare, at_most) = (self.below(256) as u8, 1 + self.below(60) as usize);
                Action::Acknowledge { spare: spare & 0x49, at_most }
            }
            10 => Action::Peek(1 + self.below(9) as usize, self.below(3000) as usize),
            11 => Action::Wait(self.below(30_000)),
            12..=13 => Action::Tend,
            14 => Action::CloseAndOpen,
            _ => Action::KillAndOpen,
        }
    }

    fn any(&mut self) -> Action {
        let (loss, seed) = (self.loss(), self.below(u64::MAX));
        match self.below(16) {
            0..=2 => self.quiet(),
            3..=4 => Action::Acknowledge { spare: 0, at_most: 1 + self.below(200) as usize },
            5 => Action::PowerCut(loss, seed),
            6 => Action::CutWhileOpening(loss, seed, self.below(7)),
            7 => Action::KillDuring(self.below(12), self.batch()),
            _ => Action::CutDuring(loss, seed, self.below(12), self.batch()),
        }
    }
}

fn model(disk: SimulatedDisk, number: u64) -> Model {
    let policy = POLICIES[(number % 3) as usize];
    // Half of them plain, the others in each encoding.
    let coding = Coding::all().nth((number % 11) as usize).unwrap_or(Coding::PLAIN);
    Model::on(disk, coding, LIMIT, policy, (number / 3 % 2 == 1).then_some(AGE_MAX))
}

/// A story of many cuts in a row.
fn random_story(seed: u64) -> Tally {
    let mut story = Story(Chance(seed));
    let mut model = model(SimulatedDisk::default(), seed);
    let mut tally = Tally::default();
    for _ in 0..ACTIONS {
        let action = story.any();
        model.run(&action);
        match action {
            Action::PowerCut(loss, _) => note(&mut tally, &model, None, loss),
            Action::CutDuring(loss, ..) | Action::CutWhileOpening(loss, ..) => {
                let struck = model.queue.disk.struck();
                note(&mut tally, &model, struck, loss);
            }
            _ => {}
        }
    }
    model.run(&Action::CloseAndOpen);
    tally
}

#[test]
fn ten_thousand_power_cuts_lose_nothing_that_was_acknowledged() {
    let seeds = Seeds::new(STORIES);
    let begun = std::time::Instant::now();
    let tally = seeds.run("ten_thousand_power_cuts", random_story);
    let cuts = tally.of("loss");
    println!("{cuts} power cuts: {tally}; {seeds}; {:?}", begun.elapsed());
    assert!(seeds.partial || cuts >= CUTS_MIN, "{cuts}");
    for loss in ["KeepPrefix", "KeepSectors"] {
        assert!(seeds.partial || tally.of(&format!("torn by {loss}")) > 0, "{loss}: {tally}");
    }
}

/// Actions of the scripted run; each policy has its own script.
const SCRIPT_ACTIONS: usize = 60;

fn script(policy: u64) -> Vec<Action> {
    let mut story = Story(Chance(policy));
    let mut actions: Vec<_> = (0..SCRIPT_ACTIONS).map(|_| story.quiet()).collect();
    // Somewhere in it everything is drained, so that segments become spares, and one spare goes
    // to make room for a record that is longer than a segment.
    let drained = [
        Action::Acknowledge { spare: 0, at_most: usize::MAX },
        Action::Tend,
        Action::Append(vec![(0, 20_000)]),
        Action::KillAndOpen,
    ];
    actions.splice(SCRIPT_ACTIONS / 2..SCRIPT_ACTIONS / 2, drained);
    actions
}

/// How many operations on the disk the script of a policy comes to.
fn operations(policy: u64) -> u64 {
    let mut model = model(SimulatedDisk::default(), policy);
    for action in script(policy) {
        model.run(&action);
    }
    model.queue.disk.changes()
}

/// Cuts the power before one operation of a script, again while the queue is opened after that,
/// and once more in the middle of what comes next.
fn cut_at(policy: u64, operation: u64, loss: Loss) -> Tally {
    let mut tally = Tally::default();
    let disk = SimulatedDisk::default();
    disk.cut_after(operation);
    let mut model = model(disk, policy);
    model.run_until_the_cut(&script(policy));
    let struck = model.queue.disk.struck();
    assert!(struck.is_some(), "the script came to its end before operation {operation}");
    let mut story = Story(Chance(operation));
    model.power_cut(loss, story.below(u64::MAX));
    model.check();
    note(&mut tally, &model, struck, loss);
    let (again, after) = (story.below(u64::MAX), story.below(7));
    model.run(&Action::CutWhileOpening(loss, again, after));
    note(&mut tally, &model, model.queue.disk.struck(), loss);
    let (again, after) = (story.below(u64::MAX), story.below(8));
    model.run(&Action::CutDuring(loss, again, after, story.batch()));
    note(&mut tally, &model, model.queue.disk.struck(), loss);
    model.run(&Action::CloseAndOpen);
    tally
}

#[test]
fn a_power_cut_at_every_operation_of_a_script_loses_nothing() {
    let counts = [operations(0), operations(1), operations(2)];
    let seeds = Seeds::numbers(counts.iter().sum::<u64>() * LOSSES);
    let begun = std::time::Instant::now();
    let tally = seeds.run("a_power_cut_at_every_operation", |number| {
        let (mut operation, loss) = (number / LOSSES, Loss::ALL[(number % LOSSES) as usize]);
        let mut policy = 0;
        while operation >= counts[policy] {
            operation -= counts[policy];
            policy += 1;
        }
        cut_at(policy as u64, operation, loss)
    });
    let cuts = tally.of("loss");
    println!(
        "{cuts} power cuts at {counts:?} operations of three scripts: {tally}; {:?}",
        begun.elapsed()
    );
    if !seeds.partial {
        for what in [
            "create spare",
            "allocate spare",
            "write spare",
            "sync spare",
            "rename spare",
            "write segment",
            "sync segment",
            "rename segment",
            "remove segment",
            "remove spare",
            "truncate segment",
            "create cursor",
            "write cursor",
            "sync cursor",
            "syncdir folder",
            "create ballast",
            "allocate ballast",
        ] {
            assert!(tally.of(&format!("at {what}")) > 0, "none at {what}: {tally}");
        }
    }
}
