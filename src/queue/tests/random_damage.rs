//! Ten thousand times damage at random, and every byte of a small queue.

use std::path::Path;

use super::{
    harness::{Chance, Coding},
    model::{Action, Model},
    patient::{Outcome, Patient, goes_on},
    seeds::{Seeds, Tally},
};
use crate::{OnFull, disk::simulated::SimulatedDisk};

const LIMIT: u64 = 64 * 1024;
/// What the whole must come to.
const CASES_MIN: u64 = 10_000;
/// Queues, each of which is damaged so often.
const PATIENTS: u64 = 340;
const CASES_PER_PATIENT: u64 = 30;
/// Of ten, so many cases are more than one wound.
const MULTIPLE: u64 = 4;

/// A queue with a life: rotations, restarts, records settled in and out of order, spares.
fn patient(chance: &mut Chance, coding: Coding) -> Patient {
    let policy = [OnFull::DropOldest, OnFull::DropNewest, OnFull::Reject];
    let policy = policy[chance.below(3) as usize];
    let mut model = Model::on(SimulatedDisk::default(), coding, LIMIT, policy, None);
    for _ in 0..3 + chance.below(12) {
        let action = match chance.below(10) {
            0..=5 => {
                let count = 1 + chance.below(14);
                let bytes = [40, 200, 900][chance.below(3) as usize];
                let batch = (0..count).map(|_| (chance.below(3) as u8, chance.below(bytes) as u16));
                Action::Append(batch.collect())
            }
            6..=7 => {
                let spare = [0, 0x12, 0xff][chance.below(3) as usize];
                Action::Acknowledge { spare, at_most: 1 + chance.below(60) as usize }
            }
            8 => Action::Tend,
            _ => Action::KillAndOpen,
        };
        model.run(&action);
    }
    if chance.below(2) == 0 {
        // Three segments, of which the first becomes a spare.
        model.run(&Action::Append(vec![(0, 900); 40]));
        model.run(&Action::Acknowledge { spare: 0, at_most: usize::MAX });
        model.run(&Action::Tend);
        model.run(&Action::Append(vec![(1, 300); 5]));
    }
    if chance.below(3) == 0 {
        model.run(&Action::CloseAndOpen);
    }
    model.into_patient()
}

/// One wound to one file; what it was.
fn wound(disk: &SimulatedDisk, path: &Path, chance: &mut Chance) -> (&'static str, String) {
    let mut content = disk.content(path);
    // Mostly where something is written, at times behind it.
    let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let reach = if chance.below(8) == 0 { content.len() } else { used }.max(1);
    let start = chance.below(reach as u64) as usize;
    let longest = [16, 600, 5000][chance.below(3) as usize];
    let length = 1 + chance.below(longest) as usize;
    let range = start.min(content.len())..(start + length).min(content.len());
    let kind = ["flipped", "zeroed", "truncated", "overwritten"][chance.below(4) as usize];
    match kind {
        "flipped" if start < content.len() => content[start] ^= 1 << chance.below(8),
        "zeroed" => content[range.clone()].fill(0),
        "truncated" => content.truncate(start),
        _ => content[range.clone()].fill_with(|| chance.below(256) as u8),
    }
    disk.set_content(path, &content);
    (kind, format!("{kind} {} {range:?}", path.display()))
}

fn file_kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("seg") => "segment",
        Some("spare") => "spare",
        _ => "cursor",
    }
}

fn damage_at_random(seed: u64) -> Tally {
    let mut chance = Chance(seed);
    // Half of them plain, the others in each encoding.
    let coding = Coding::all().nth((seed % 11) as usize).unwrap_or(Coding::PLAIN);
    let patient = patient(&mut chance, coding);
    let files = patient.files();
    let (segments, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| file_kind(path) == "segment");
    let mut tally = Tally::default();
    for case in 0..CASES_PER_PATIENT {
        let disk = patient.copy();
        let wounds = if chance.below(10) < MULTIPLE { 2 + chance.below(4) } else { 1 };
        let mut what = format!("case {case}:");
        for _ in 0..wounds {
            // Segments hold most of what there is, so most damage is theirs.
            let among =
                if chance.below(4) > 0 && !segments.is_empty() { &segments } else { &others };
            let path = &among[chance.below(among.len() as u64) as usize];
            let (kind, told) = wound(&disk, path, &mut chance);
            what = format!("{what} {told};");
            tally.count(format!("wound {kind} {}", file_kind(path)));
        }
        let (queue, outcome) = patient.examine(disk, wounds == 1, &what);
        note(&mut tally, wounds, outcome);
        tally.count(format!("coding {}", coding.name()));
        if case % 3 == 0 {
            goes_on(queue, &what);
        }
    }
    tally
}

fn note(tally: &mut Tally, wounds: u64, outcome: Outcome) {
    tally.count(if wounds == 1 { "case single" } else { "case multiple" });
    for _ in 0..outcome.lost {
        tally.count("record lost");
    }
    for _ in 0..outcome.unprovable {
        tally.count("record lost without a trace");
    }
    for _ in 0..outcome.torn {
        tally.count("record told as torn");
    }
}

#[test]
fn ten_thousand_times_damage_costs_only_the_records_it_touched() {
    let seeds = Seeds::new(PATIENTS);
    let begun = std::time::Instant::now();
    let tally = seeds.run("ten_thousand_times_damage", damage_at_random);
    let cases = tally.of("case");
    println!("{cases} damaged queues: {tally}; {seeds}; {:?}", begun.elapsed());
    if !seeds.partial {
        assert!(cases >= CASES_MIN, "{cases}");
        for file in ["segment", "cursor", "spare"] {
            for kind in ["flipped", "zeroed", "truncated", "overwritten"] {
                assert!(tally.of(&format!("wound {kind} {file}")) > 0, "{kind} {file}");
            }
        }
        assert!(tally.of("record lost") > CASES_MIN, "the damage does damage: {tally}");
    }
}

/// A small queue, some of it acknowledged, some of it out of order, in two segments.
fn small_patient() -> Patient {
    let mut model = Model::new(LIMIT, OnFull::Reject, None);
    for length in 0..6 {
        model.run(&Action::Append(vec![(0, length), (1, 9), (0, 20), (1, 2), (0, 7)]));
    }
    model.run(&Action::Acknowledge { spare: 0x52, at_most: 9 });
    model.run(&Action::Tend);
    model.run(&Action::KillAndOpen);
    for _ in 0..2 {
        model.run(&Action::Append(vec![(2, 3), (2, 12), (1, 1)]));
    }
    model.run(&Action::Acknowledge { spare: 0x7b, at_most: 3 });
    model.into_patient()
}

/// Damages the small queue in every place, one file and one byte after the other.
fn everywhere(
    test: &str,
    what: &str,
    damage: impl Fn(&mut Vec<u8>, usize) + Sync,
    judge: impl Fn(Outcome) -> bool + Sync,
) {
    let patient = small_patient();
    let files = patient.files();
    let places = files.iter().flat_map(|path| (0..patient.used(path)).map(move |at| (path, at)));
    let places: Vec<_> = places.collect();
    let seeds = Seeds::numbers(places.len() as u64);
    let tally = seeds.run(test, |number| {
        let (path, at) = places[number as usize];
        let disk = patient.copy();
        let mut content = disk.content(path);
        damage(&mut content, at);
        disk.set_content(path, &content);
        let told = format!("{} {what} at {at}", path.display());
        let (queue, outcome) = patient.examine(disk, true, &told);
        assert!(judge(outcome), "{told}: {outcome:?}");
        if number % 3 == 0 {
            goes_on(queue, &told);
        }
        let mut tally = Tally::default();
        note(&mut tally, 1, outcome);
        tally
    });
    println!("{} bytes of {} files {what}: {tally}", places.len(), files.len());
    assert!(
        seeds.partial || (tally.of("case") > 2_000 && tally.of("record lost") > 500),
        "{tally}"
    );
}

#[test]
fn every_single_byte_of_a_small_queue_may_flip_at_the_cost_of_one_record() {
    everywhere(
        "every_single_byte",
        "flipped",
        |content, at| content[at] ^= 0x41,
        |outcome| outcome.lost <= 1 && outcome.unprovable == 0,
    );
}

#[test]
fn a_small_queue_may_be_truncated_anywhere_at_the_cost_of_what_was_behind() {
    everywhere("truncated_anywhere", "truncated", Vec::truncate, |_| true);
}
