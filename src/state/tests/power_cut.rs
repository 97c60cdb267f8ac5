//! Power cuts. A process that uses the store is recorded call by call; its calls are replayed into
//! a disk with a volatile cache; that disk is cut at very many points, in many ways; and the
//! store is opened on what is left.

mod cut;
mod disk;
mod recording;
mod replay;
mod script;
mod survival;
mod trace;

use std::{
    collections::{BTreeMap, HashSet},
    env,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::{
        Mutex,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use cut::{MODES, Mode};
use disk::{Disk, ROOT};
use recording::Recordings;
use replay::Replay;
use script::{Commits, DATA_DIR};
use survival::{FAILED_SYNC, Job, Owed};

use super::remains::{Random, Remains, SEED, seed};

/// How many times as many states as usual are opened, for a long run.
const TIMES: &str = "HOLDFAST_TEST_TIMES";
/// What is synced at each commit, as the disk sees it.
const DB: &str = "data/state/db";
/// Threads that open what is left.
const WORKERS: usize = 4;
/// States that wait to be opened.
const JOBS_MAX: usize = 4;
/// Processes that go on with what power cuts left, in each round.
const RECOVERIES: usize = 6;
/// Of how many states one may be gone on with.
const LEFT_ONE_IN: usize = 8;

/// One process on a disk, from its first call to its last.
struct Run<'a> {
    name: &'a str,
    /// The recording in whose folder it goes on; mostly its own.
    at: &'a str,
    commits: Commits,
    plan: &'a str,
    /// States per hundred points of time at which the disk changed.
    percent: usize,
}

struct Cutting<'a> {
    recordings: &'a Recordings,
    jobs: SyncSender<Job>,
    random: Random,
    times: usize,
    seen: HashSet<u64>,
    modes: BTreeMap<Mode, u32>,
    /// A state now and then, for a second process to go on with.
    left: Vec<(Remains, Owed)>,
}

impl Cutting<'_> {
    /// Records a process, and cuts the power all along. Gives back how the disk was in the end,
    /// and what was owed then.
    fn run(&mut self, run: &Run<'_>, disk: Disk, mut owed: Owed) -> (Disk, Owed) {
        let root = self.recordings.root(run.at);
        let notes = self.recordings.notes(run.at);
        let calls = self.recordings.calls(run.name, run.at, run.commits, run.plan);
        let mut replay = Replay::new(disk, root.to_str().unwrap(), notes.to_str().unwrap());
        let mut points = 0;
        for (number, call) in calls.iter().enumerate() {
            let before = replay.disk.order();
            let note = replay.step(call).unwrap_or_else(|error| panic!("{}: {error}", run.name));
            if let Some(note) = &note {
                owed.take(note);
                if note.starts_with(FAILED_SYNC) {
                    let (.., db) = replay.disk.find(ROOT, DB).unwrap();
                    replay.disk.forget_unsynced(db.expect("the file that was not synced"));
                }
            }
            let synced = call.name.ends_with("sync") && call.result.is_some();
            if note.is_some() || synced || replay.disk.order() != before {
                points += 1;
                self.cut(run, number, &replay.disk, &owed);
            }
        }
        assert!(points > 0 && owed.lower > 0, "{}: nothing happened", run.name);
        println!("{}: {points} points of time, {} commits", run.name, owed.lower);
        (replay.disk, owed)
    }

    fn cut(&mut self, run: &Run<'_>, call: usize, disk: &Disk, owed: &Owed) {
        let percent = run.percent * self.times;
        let states = percent / 100 + usize::from(self.random.percent(percent % 100));
        for _ in 0..states {
            let mode = MODES[self.random.below(MODES.len())];
            let remains = cut::cut(disk, mode, &mut self.random);
            let mut hasher = DefaultHasher::new();
            (&remains, owed).hash(&mut hasher);
            if self.seen.insert(hasher.finish()) {
                *self.modes.entry(mode).or_default() += 1;
                if self.random.below(LEFT_ONE_IN) == 0 {
                    self.left.push((remains.clone(), owed.clone()));
                }
                let what = format!("{} cut at call {call}, {mode}", run.name);
                let job = Job { what, remains, owed: owed.clone(), commits: run.commits };
                self.jobs.send(job).expect("the workers wait for more");
            }
        }
    }
}

/// Cuts the power along what `story` runs, opens all that is left, and says how many there were.
fn cut_along(states_min: u32, story: impl FnOnce(&mut Cutting<'_>)) {
    let (seed, started) = (seed(), Instant::now());
    let recordings = Recordings::new();
    let (jobs, waiting) = sync_channel(JOBS_MAX);
    let waiting = Mutex::new(waiting);
    let (modes, tallies) = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..WORKERS).map(|_| scope.spawn(|| survival::work(&waiting))).collect();
        let mut cutting = Cutting {
            recordings: &recordings,
            jobs,
            random: Random(seed),
            times: env::var(TIMES).map_or(1, |times| times.parse().expect("a number of times")),
            seen: HashSet::new(),
            modes: BTreeMap::new(),
            left: Vec::new(),
        };
        story(&mut cutting);
        let modes = std::mem::take(&mut cutting.modes);
        drop(cutting);
        let tallies = workers.into_iter().map(|worker| worker.join().unwrap());
        (modes, tallies.collect::<Vec<_>>())
    });
    let states: u32 = modes.values().sum();
    let mut outcomes = BTreeMap::<_, u32>::new();
    for (outcome, count) in tallies.iter().flat_map(|tally| &tally.outcomes) {
        *outcomes.entry(outcome).or_default() += count;
    }
    println!("{states} crash states in {:.1?}, {SEED}={seed}: {outcomes:?}", started.elapsed());
    for (mode, count) in &modes {
        println!("{count:>6} {mode}");
    }
    let failures: Vec<_> = tallies.into_iter().flat_map(|tally| tally.failures).collect();
    assert!(failures.is_empty(), "{}\n{SEED}={seed} {}", failures.join("\n"), recordings.keep());
    assert!(states >= states_min, "only {states} states");
}

/// What a process that is killed leaves.
fn killed(disk: &Disk) -> Remains {
    let all_kept = MODES[3];
    cut::cut(disk, all_kept, &mut Random(0))
}

fn mixed<'a>(name: &'a str, plan: &'a str, percent: usize) -> Run<'a> {
    Run { name, at: name, commits: Commits::Mixed, plan, percent }
}

#[test]
fn a_power_cut_takes_nothing_that_was_reported_durable_or_shown() {
    cut_along(350, |cutting| {
        let plan = "open commits 30 together 10 close open commits 5 close \
                    open-exporting commits 20 together 8 commits 5";
        cutting.recordings.prepare("start", &Remains::default());
        cutting.run(&mixed("start", "open commits 1", 400), Disk::new(), Owed::NOTHING);
        cutting.recordings.prepare("fresh", &Remains::default());
        let (disk, owed) = cutting.run(&mixed("fresh", plan, 100), Disk::new(), Owed::NOTHING);
        // A killed process leaves in the kernel what was never synced, and the next one reads it.
        let (mut disk, mut owed) = (disk, owed);
        for name in ["killed-1", "killed-2"] {
            let plan = "open commits 3 killed-before-sync commits 1";
            let run = Run { at: "fresh", ..mixed(name, plan, 100) };
            (disk, owed) = cutting.run(&run, disk, owed);
        }
    });
}

#[test]
fn a_power_cut_takes_nothing_while_sled_uses_its_segments_again() {
    cut_along(200, |cutting| {
        let plan = "open commits 250 close open commits 150";
        let run = Run { commits: Commits::Bulky, ..mixed("bulky", plan, 12) };
        cutting.recordings.prepare("bulky", &Remains::default());
        let (disk, _) = cutting.run(&run, Disk::new(), Owed::NOTHING);
        let remains = killed(&disk);
        let db = remains.0[Path::new(DB)].as_ref().unwrap();
        println!("{} bytes written into a file of {}", disk.written_bytes, db.len());
        assert!(disk.written_bytes > 2 * db.len(), "sled had no need of its old segments");
    });
}

#[test]
fn a_power_cut_while_the_store_comes_back_from_another_takes_nothing() {
    cut_along(300, |cutting| {
        cutting.recordings.prepare("first", &Remains::default());
        let plan = "open commits 12 close open commits 12";
        cutting.run(&mixed("first", plan, 60), Disk::new(), Owed::NOTHING);
        for round in ["second", "third", "fourth"] {
            let left = std::mem::take(&mut cutting.left);
            for number in 0..RECOVERIES.min(left.len()) {
                let (remains, owed) = &left[cutting.random.below(left.len())];
                let name = format!("{round}-{number}");
                cutting.recordings.prepare(&name, remains);
                let run = mixed(&name, "open commits 2", 100);
                cutting.run(&run, Disk::of(remains), owed.clone());
            }
        }
    });
}

#[test]
fn a_power_cut_while_a_damaged_store_is_rebuilt_leaves_what_was_exported() {
    cut_along(150, |cutting| {
        cutting.recordings.prepare("sound", &Remains::default());
        let plan = "open commits 20 close open commits 12";
        let (disk, _) = cutting.run(&mixed("sound", plan, 0), Disk::new(), Owed::NOTHING);
        let mut remains = killed(&disk);
        let db = remains.0.get_mut(Path::new(DB)).unwrap();
        db.as_mut().unwrap().fill(0xA5);
        let owed = Owed { lower: 20, upper: 20, epoch: 1, damaged: true, grown: true };
        for name in ["rebuilt", "rebuilt-unmarked"] {
            cutting.recordings.prepare(name, &remains);
            let run = mixed(name, "open commits 10 close", 150);
            cutting.run(&run, Disk::of(&remains), owed.clone());
            // Without its mark the store does not know that there were later commits.
            remains.0.remove(&Path::new(DATA_DIR).join("state.mark"));
        }
    });
}

#[test]
fn a_power_cut_while_the_store_is_written_anew_after_a_failed_sync_takes_nothing() {
    cut_along(150, |cutting| {
        cutting.recordings.prepare("failing", &Remains::default());
        let plan = "open commits 12 fail-sync commits 6 close open commits 2";
        cutting.run(&mixed("failing", plan, 100), Disk::new(), Owed::NOTHING);
    });
}
