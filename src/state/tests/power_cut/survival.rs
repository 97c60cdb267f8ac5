//! Opening what a power cut left, and holding it to what was promised.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, mpsc::Receiver},
};

use super::script::{self, Commits, DATA_DIR};
use crate::{
    RecoveryOutcome, State,
    opening::panic_text,
    tests::{
        block_on, open,
        remains::{Remains, temporary_folder},
    },
};

/// A worker that found as many wrong states looks for no more.
const FAILURES_MAX: usize = 4;
/// No plan commits more.
const COMMITS_MAX: u64 = 1_000;

/// The note of a sync that failed.
pub(super) const FAILED_SYNC: &str = "failed-sync";

/// What the process was told by the store so far, or is being told now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owed {
    /// The last commit that was reported durable, or shown.
    pub lower: u64,
    /// The last commit that was begun.
    pub upper: u64,
    pub epoch: u64,
    /// There was more than a power cut, so that the store may say so.
    pub damaged: bool,
    /// The damage took commits, so that the epoch must grow.
    pub grown: bool,
}

impl Owed {
    pub(super) const NOTHING: Self =
        Self { lower: 0, upper: 0, epoch: 0, damaged: false, grown: false };

    pub(super) fn take(&mut self, note: &str) {
        let (what, number) = note.split_once(' ').expect("a word and a number");
        let number: u64 = number.parse().expect("a number");
        match what {
            "begin" => self.upper = number,
            "done" => self.lower = number,
            "found" => {
                assert!((self.lower..=self.upper).contains(&number), "{note}: {self:?}");
                (self.lower, self.upper) = (number, number);
            }
            "epoch" => {
                assert!(number >= self.epoch, "{note}: {self:?}");
                self.epoch = number;
                (self.damaged, self.grown) = (false, false);
            }
            FAILED_SYNC => self.damaged = true,
            other => panic!("{other} is no note"),
        }
    }
}

/// One state to be opened.
#[derive(Debug)]
pub(super) struct Job {
    pub what: String,
    pub remains: Remains,
    pub owed: Owed,
    pub commits: Commits,
}

/// What came of the states that one worker opened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub outcomes: BTreeMap<String, u32>,
    pub failures: Vec<String>,
}

/// Opens one state after the other until there are no more.
pub(super) fn work(jobs: &Mutex<Receiver<Job>>) -> Tally {
    let mut tally = Tally::default();
    let mut contents = BTreeMap::new();
    loop {
        let job = jobs.lock().unwrap().recv();
        let Ok(job) = job else { return tally };
        if tally.failures.len() >= FAILURES_MAX {
            continue;
        }
        let folder = temporary_folder();
        job.remains.lay_out(folder.path());
        let expected = contents
            .entry(format!("{:?}", job.commits))
            .or_insert_with(|| job.commits.contents(COMMITS_MAX));
        let survived = catch_unwind(AssertUnwindSafe(|| {
            block_on(survive(&folder.path().join(DATA_DIR), &job, expected))
        }));
        let survived = survived.unwrap_or_else(|panic| Err(panic_text(&*panic)));
        match survived {
            Ok(outcome) => *tally.outcomes.entry(format!("{outcome:?}")).or_default() += 1,
            Err(error) => {
                let kept = temporary_folder().keep();
                job.remains.lay_out(&kept);
                let (what, owed, kept) = (&job.what, &job.owed, kept.display());
                tally.failures.push(format!("{what}: {error}; {owed:?}; it is kept in {kept}"));
            }
        }
    }
}

async fn survive(data_dir: &Path, job: &Job, expected: &[u64]) -> Result<RecoveryOutcome, String> {
    let owed = &job.owed;
    let (state, recovery) = open(data_dir);
    let position = held(&state, owed, expected).await.map_err(|e| format!("{e}; {recovery}"))?;
    let epoch = state.epoch().await.map_err(|error| error.to_string())?;
    if !recovery.is_clean() && !owed.damaged {
        return Err(format!("nothing was damaged, and yet: {recovery}"));
    }
    if epoch < owed.epoch + u64::from(!recovery.is_clean() || owed.grown) {
        return Err(format!("epoch {epoch} after {}: {recovery}", owed.epoch));
    }
    // It goes on from there as if nothing had been.
    let next = position + 1;
    job.commits.commit(&state, next).await.map_err(|error| error.to_string())?;
    state.close().await;
    let (state, again) = open(data_dir);
    if again.outcome != RecoveryOutcome::Intact {
        return Err(format!("opened once more: {again}; at first: {recovery}"));
    }
    let owed = Owed { lower: next, upper: next, ..owed.clone() };
    held(&state, &owed, expected).await.map_err(|error| format!("opened once more: {error}"))?;
    state.close().await;
    Ok(recovery.outcome)
}

/// The number of commits in the store, if it holds what it owes and nothing else.
async fn held(state: &State, owed: &Owed, expected: &[u64]) -> Result<u64, String> {
    let content = script::content(state).await.map_err(|error| error.to_string())?;
    let position = script::position(&content);
    if !(owed.lower..=owed.upper).contains(&position) {
        return Err(format!("it is at commit {position}"));
    }
    if expected.get(position as usize) != Some(&script::hash(&content)) {
        return Err(format!("its content is not that of commit {position}"));
    }
    Ok(position)
}
