//! What the process under strace does: commits whose content follows from their number.
//!
//! It notes what it is about to do, and what the store said was done, in a file beside the disk;
//! strace sees those notes in their order with the calls of the store.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;

use super::survival::FAILED_SYNC;
use crate::{
    Options, State, StateError,
    tests::{block_on, options, remains::Random},
};

/// The environment variables that tell the process what to do.
pub(super) const PLAN: &str = "HOLDFAST_TEST_POWER_CUT_PLAN";
pub(super) const FOLDER: &str = "HOLDFAST_TEST_POWER_CUT_FOLDER";
/// The name of the test that is that process.
pub(super) const NAME: &str = "tests::power_cut::script::the_process_under_strace";
/// Beside `root`, which stands for the disk.
pub(super) const NOTES: &str = "notes";
/// The data directory on that disk.
pub(super) const DATA_DIR: &str = "data";

const PAGE_ENTRIES: usize = 100;
const RETRIES_MAX: u32 = 200;

/// Which commits are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commits {
    /// Of every kind, mostly small.
    Mixed,
    /// So much that sled uses its segments again.
    Bulky,
}

pub(super) type Content = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;
type Change = (&'static str, Vec<u8>, Option<Vec<u8>>);

const TABLES: [&str; 3] = ["a", "b", "position"];

impl Commits {
    /// The changes of a commit; the first is number 1.
    fn changes(self, number: u64) -> Vec<Change> {
        let value = |length: u64| {
            let mut random = Random(number);
            (0..length).map(|_| random.next() as u8).collect::<Vec<u8>>()
        };
        let key = |of: u64| (of % 13).to_be_bytes().to_vec();
        let mut changes = match (self, number % 6) {
            (_, 0) => vec![("a", key(number - 1), None)],
            (Self::Mixed, 3) => {
                vec![("a", key(number - 1), None), ("b", key(number), Some(value(number % 90)))]
            }
            (Self::Mixed, 5) if number % 4 == 1 => vec![("b", b"long".into(), Some(value(9_000)))],
            (Self::Mixed, _) => vec![("a", key(number), Some(value(number * 7 % 300)))],
            (Self::Bulky, _) => vec![("a", key(number), Some(value(4_000 + number * 37 % 9_000)))],
        };
        changes.push(("position", vec![], Some(number.to_le_bytes().to_vec())));
        changes
    }

    /// What a hash of the content is after each number of commits.
    pub(super) fn contents(self, commits: u64) -> Vec<u64> {
        let mut content = Content::new();
        let mut hashes = vec![hash(&content)];
        for number in 1..=commits {
            for (table, key, value) in self.changes(number) {
                match value {
                    Some(value) => content.insert((table, key), value),
                    None => content.remove(&(table, key)),
                };
            }
            hashes.push(hash(&content));
        }
        hashes
    }

    pub(super) async fn commit(self, state: &State, number: u64) -> Result<(), StateError> {
        let changes = self.changes(number).into_iter().map(|(table, key, value)| {
            let table = state.table(table);
            value.map_or_else(|| table.deleting(&key), |value| table.putting(&key, value))
        });
        state.write(changes.collect()).await
    }
}

pub(super) fn hash(content: &Content) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// Everything that the store shows.
pub(super) async fn content(state: &State) -> Result<Content, StateError> {
    let mut content = Content::new();
    for table in TABLES {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = state.table(table).scan(after.as_deref(), PAGE_ENTRIES).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            content.extend(page.into_iter().map(|(key, value)| ((table, key), value)));
        }
    }
    Ok(content)
}

/// The number of the last commit in a content.
pub(super) fn position(content: &Content) -> u64 {
    let position = content.get(&("position", vec![]));
    position.map_or(0, |bytes| bytes.as_slice().try_into().map_or(u64::MAX, u64::from_le_bytes))
}

/// What the next syncs do.
static SYNC: AtomicU8 = AtomicU8::new(WORKS);
const WORKS: u8 = 0;
const FAILS: u8 = 1;
const NEVER_COMES: u8 = 2;

fn sync(file: &File) -> io::Result<()> {
    match SYNC.load(Ordering::SeqCst) {
        WORKS => file.sync_data(),
        FAILS => {
            note(FAILED_SYNC, 0);
            Err(io::Error::from_raw_os_error(5))
        }
        // The process is killed between sled's write and the sync.
        _ => std::process::exit(0),
    }
}

static WRITTEN_NOTES: OnceLock<File> = OnceLock::new();

fn note(what: &str, number: u64) {
    let mut notes = WRITTEN_NOTES.get().unwrap();
    notes.write_all(format!("{what} {number}").as_bytes()).unwrap();
}

struct Process {
    commits: Commits,
    data_dir: PathBuf,
    state: Option<State>,
    next: u64,
}

impl Process {
    async fn open(&mut self, options: Options) {
        let (state, recovery) = State::open(&self.data_dir, Options { sync, ..options });
        println!("opened: {recovery}");
        let position = position(&content(&state).await.unwrap());
        let epoch = state.epoch().await.unwrap();
        note("found", position);
        note("epoch", epoch);
        self.next = position + 1;
        self.state = Some(state);
    }

    async fn commit(&mut self) {
        let state = self.state.clone().unwrap();
        note("begin", self.next);
        for _ in 0..RETRIES_MAX {
            match self.commits.commit(&state, self.next).await {
                Ok(()) => {
                    note("done", self.next);
                    self.next += 1;
                    return;
                }
                Err(error) => assert!(error.is_worth_a_retry(), "{error}"),
            }
            SYNC.store(WORKS, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("commit {} never came through", self.next);
    }

    /// Several at once, which then share one sync.
    async fn commit_together(&mut self, count: u64) {
        let state = self.state.clone().unwrap();
        let end = self.next + count;
        note("begin", end - 1);
        let outcomes = join_all((self.next..end).map(|n| self.commits.commit(&state, n))).await;
        assert!(outcomes.iter().all(Result::is_ok));
        note("done", end - 1);
        self.next = end;
    }

    async fn follow(&mut self, plan: &str) {
        let mut words = plan.split(' ');
        while let Some(word) = words.next() {
            let mut count = || words.next().unwrap().parse::<u64>().unwrap();
            match word {
                "open" => self.open(options()).await,
                "open-exporting" => {
                    self.open(Options { export_interval: Duration::ZERO, ..options() }).await;
                }
                "commits" => {
                    for _ in 0..count() {
                        self.commit().await;
                    }
                }
                "together" => {
                    let count = count();
                    self.commit_together(count).await;
                }
                "close" => self.state.take().unwrap().close().await,
                "fail-sync" => SYNC.store(FAILS, Ordering::SeqCst),
                "killed-before-sync" => SYNC.store(NEVER_COMES, Ordering::SeqCst),
                other => panic!("{other} is no step of a plan"),
            }
        }
    }
}

#[test]
#[ignore = "it does what other tests tell it to, under strace"]
fn the_process_under_strace() {
    let (Ok(plan), Ok(folder)) = (std::env::var(PLAN), std::env::var(FOLDER)) else {
        println!("nothing to do: {PLAN} and {FOLDER} are not set");
        return;
    };
    let folder = Path::new(&folder);
    let (commits, plan) = plan.split_once(": ").unwrap();
    let notes = OpenOptions::new().create(true).append(true).open(folder.join(NOTES)).unwrap();
    WRITTEN_NOTES.set(notes).unwrap();
    let mut process = Process {
        commits: if commits == "Bulky" { Commits::Bulky } else { Commits::Mixed },
        data_dir: folder.join("root").join(DATA_DIR),
        state: None,
        next: 1,
    };
    block_on(process.follow(plan));
    // As if it were killed: what was not closed is not.
    std::process::exit(0);
}
