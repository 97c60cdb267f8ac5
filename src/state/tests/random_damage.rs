//! Damage at random, thousands of times: the store opens, shows no wrong byte, and says what it
//! lost.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use super::{
    remains::{Random, Remains, SEED, seed, temporary_folder},
    *,
};
use crate::opening::panic_text;

const ROUNDS: usize = 2_400;
const WORKERS: usize = 4;
/// The longest stretch that one blow hits.
const STRETCH_BYTES_MAX: usize = 64 * 1024;
/// Numbers `0..EXPORTED` are in the export, `EXPORTED..PUT` came after it.
const EXPORTED: u32 = 60;
const PUT: u32 = 90;
const MARK: &str = "state.mark";

/// A store with an export and later commits, as a killed process leaves it or closed.
fn store(closed: bool) -> Remains {
    let dir = temporary_folder();
    block_on(async {
        let (state, _) = open(dir.path());
        for number in 0..EXPORTED {
            put(&state, number).await;
        }
        state.close().await;
        let (state, _) = open(dir.path());
        for number in EXPORTED..PUT {
            put(&state, number).await;
        }
        if closed {
            state.close().await;
        }
        Remains::of(dir.path())
    })
}

/// Damages one file, or two; gives back which.
fn strike(remains: &mut Remains, random: &mut Random) -> (Vec<PathBuf>, String) {
    let mut struck = Vec::new();
    let mut said = Vec::new();
    for _ in 0..=random.below(2) * random.below(2) {
        let with_content = remains.0.iter().filter(|(_, content)| content.is_some());
        let paths: Vec<_> = with_content.map(|(path, _)| path.clone()).collect();
        // Most of what there is to be damaged is in these two.
        let path = match random.below(4) {
            0 => "state/db".into(),
            1 => "state.export".into(),
            _ => paths[random.below(paths.len())].clone(),
        };
        let Some(Some(content)) = remains.0.get_mut(&path) else { continue };
        // sled's file is long and mostly empty: what is hit is where something is.
        let used = content.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        let at = random.below(used).min(content.len().saturating_sub(1));
        let magnitude = random.below(17);
        let length = 1 + random.below(1 << magnitude).min(STRETCH_BYTES_MAX);
        let end = content.len().min(at + length);
        let (stretch, flipped) = (&mut content[at..end], 1 << random.below(8));
        let kind = match random.below(7) {
            0 | 1 => {
                stretch.iter_mut().take(1).for_each(|byte| *byte ^= flipped);
                "one bit flipped"
            }
            2 => {
                stretch.fill(0);
                "zeroed"
            }
            3 => {
                stretch.fill(0xFF);
                "filled"
            }
            4 => {
                stretch.fill_with(|| random.next() as u8);
                "overwritten at random"
            }
            5 => {
                content.truncate(at);
                "cut"
            }
            _ => {
                content.drain(at..end);
                "taken out"
            }
        };
        said.push(format!("{} {kind} at {at}..{end} of {used}", path.display()));
        struck.push(path);
    }
    (struck, said.join(", "))
}

/// Opens a damaged store and holds it to every promise.
async fn survive(dir: &Path, struck: &[PathBuf], goes_on: bool) -> (RecoveryOutcome, u64) {
    let (state, recovery) = open(dir);
    assert_ne!(recovery.outcome, RecoveryOutcome::Unavailable, "{recovery}");
    // This compares every value with what was put.
    let found = numbers(&state).await;
    assert!(found.iter().all(|number| *number < PUT), "{found:?}: {recovery}");
    let missing = u64::from(PUT) - found.len() as u64;
    if recovery.rows_lost == 0 {
        let first = (0..PUT).take(found.len()).collect::<Vec<_>>();
        assert_eq!(found, first, "not the state after any commit: {recovery}");
    }
    let epoch = state.epoch().await.unwrap();
    assert_eq!(epoch > 1, !recovery.is_clean(), "epoch {epoch}: {recovery}");
    // With its mark gone too, the store cannot know of commits after the export.
    if !struck.iter().any(|path| path.as_os_str() == MARK) {
        let said = recovery.commits_lost + recovery.rows_lost;
        assert!(missing <= said, "{missing} missing, {said} said to be lost: {recovery}");
        assert!(missing == 0 || !recovery.is_clean(), "{missing} missing: {recovery}");
    }
    if goes_on {
        put(&state, 1_000).await;
        state.close().await;
        let (state, again) = open(dir);
        assert_eq!(again.outcome, RecoveryOutcome::Intact, "{again}; at first: {recovery}");
        assert_eq!(numbers(&state).await.len(), found.len() + 1);
    }
    (recovery.outcome, missing)
}

#[test]
fn thousands_of_damages_at_random_never_keep_it_shut_nor_pass_unsaid() {
    let (seed, started) = (seed(), Instant::now());
    // For slow machines, only a part of them.
    let share = std::env::var("HOLDFAST_TEST_SHARE").map_or(1, |share| share.parse().unwrap());
    let rounds = ROUNDS / share;
    let stores = [store(false), store(true)];
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(BTreeMap::<String, (u32, u64)>::new());
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let round = next.fetch_add(1, Ordering::Relaxed);
            if round >= rounds || failures.lock().unwrap().len() > 4 {
                return;
            }
            let mut random = Random(seed.wrapping_add(round as u64));
            let mut damaged = stores[round % 2].clone();
            let (struck, said) = strike(&mut damaged, &mut random);
            let dir = temporary_folder();
            damaged.lay_out(dir.path());
            let survived = catch_unwind(AssertUnwindSafe(|| {
                block_on(survive(dir.path(), &struck, round % 8 < 2))
            }));
            match survived {
                Ok((outcome, missing)) => {
                    let mut outcomes = outcomes.lock().unwrap();
                    let (count, lost) = outcomes.entry(format!("{outcome:?}")).or_default();
                    *count += 1;
                    *lost += missing;
                }
                Err(panic) => {
                    let text = panic_text(&*panic);
                    failures.lock().unwrap().push(format!("round {round}, {said}: {text}"));
                }
            }
        }
    };
    thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let outcomes = outcomes.into_inner().unwrap();
    println!("{rounds} damages in {:.1?}, {SEED}={seed}", started.elapsed());
    for (outcome, (count, lost)) in &outcomes {
        println!("{count:>6} {outcome}, {lost} of {} values lost", u64::from(*count * PUT));
    }
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}\n{SEED}={seed}", failures.join("\n"));
    assert!(outcomes.contains_key("Rebuilt") && outcomes.contains_key("Intact"), "{outcomes:?}");
}
