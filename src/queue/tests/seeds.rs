//! Cases by the thousand, each told by one seed, and the count of what they were.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Where the cases that are the same in every run begin.
const FIXED: u64 = 2026;
/// Cases are run by so many threads.
const THREADS: usize = 2;

/// The seeds of one run: half of them always the same, half new; or the one that
/// `HOLDFAST_TEST_SEED` asks for. With `HOLDFAST_TEST_SHARE=n`, for slow machines, only every n-th.
#[derive(Debug)]
pub(super) struct Seeds {
    fresh: u64,
    cases: Vec<u64>,
    /// Whether not all cases were asked for, so that counts mean nothing.
    pub(super) partial: bool,
}

impl Seeds {
    pub(super) fn new(count: u64) -> Self {
        let asked = std::env::var("HOLDFAST_TEST_SEED").ok();
        if let Some(asked) = asked {
            let seed = asked.parse().expect("HOLDFAST_TEST_SEED is a whole number");
            return Self { fresh: seed, cases: vec![seed], partial: true };
        }
        // Small enough to be typed.
        let fresh = getrandom::u32().map_or(0, u64::from) << 16;
        let half = count / 2;
        let cases = (FIXED..FIXED + half).chain(fresh..fresh + count - half);
        let share = share();
        Self { fresh, cases: cases.step_by(share).collect(), partial: share > 1 }
    }

    /// The numbers below `count`, each of which stands for one case.
    pub(super) fn numbers(count: u64) -> Self {
        let mut seeds = Self::new(0);
        if std::env::var_os("HOLDFAST_TEST_SEED").is_none() {
            seeds.cases = (0..count).step_by(share()).collect();
        }
        seeds
    }

    /// Runs a case per seed and adds up what they counted. A case that fails says how it is run
    /// alone.
    pub(super) fn run(&self, test: &str, case: impl Fn(u64) -> Tally + Sync) -> Tally {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut tally = Tally::default();
            while let Some(seed) = self.cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let _told = TellOnPanic { test, seed: *seed };
                tally.add(case(*seed));
            }
            tally
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            let mut tally = Tally::default();
            for thread in threads {
                tally.add(thread.join().expect("every case holds"));
            }
            tally
        })
    }
}

fn share() -> usize {
    let asked = std::env::var("HOLDFAST_TEST_SHARE").ok();
    asked.map_or(1, |share| share.parse().expect("HOLDFAST_TEST_SHARE is a whole number")).max(1)
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fresh, cases, .. } = self;
        write!(f, "{} seeds, from {FIXED} and from {fresh} on", cases.len())
    }
}

struct TellOnPanic<'a> {
    test: &'a str,
    seed: u64,
}

impl Drop for TellOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { test, seed } = self;
            eprintln!(
                "to run this case alone: HOLDFAST_TEST_SEED={seed} cargo test -p holdfast-queue {test}"
            );
        }
    }
}

/// How often what happened.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub(super) fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// The sum of everything whose name begins so.
    pub(super) fn of(&self, front: &str) -> u64 {
        self.0.iter().filter(|(what, _)| what.starts_with(front)).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (what, count)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{what} {count}")?;
        }
        Ok(())
    }
}
