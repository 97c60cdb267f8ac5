//! Running the process under strace, and keeping what it did.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    script::{Commits, FOLDER, NAME, NOTES, PLAN},
    trace::{self, Call},
};
use crate::tests::remains::{Remains, temporary_folder};

/// The longest buffer that the store or sled writes in one call.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Not recorded. All others are, so that none that writes can be missed: one that the replay does
/// not know, and that has to do with the disk, is an error there.
const NOT_TRACED: &str = "trace=!read,pread64,futex,mprotect,munmap,madvise,brk,rt_sigprocmask,\
                          sched_yield,getrandom,restart_syscall";
/// Where a failed run kept its recordings; they are then replayed and not made again.
const KEPT: &str = "HOLDFAST_TEST_RECORDINGS";

/// The folder of a run's recordings, in memory where that is possible.
#[derive(Debug)]
pub(super) struct Recordings {
    folder: PathBuf,
    temporary: Option<TempDir>,
}

impl Recordings {
    pub(super) fn new() -> Self {
        if let Some(kept) = std::env::var_os(KEPT) {
            return Self { folder: kept.into(), temporary: None };
        }
        let temporary = temporary_folder();
        Self { folder: temporary.path().to_owned(), temporary: Some(temporary) }
    }

    /// Keeps them on disk, and says how they are replayed.
    pub(super) fn keep(self) -> String {
        if let Some(temporary) = self.temporary {
            let _: PathBuf = temporary.keep();
        }
        format!("{KEPT}={} replays the recordings of this run", self.folder.display())
    }

    /// The folder that one recording's disk is in.
    pub(super) fn root(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("root")
    }

    pub(super) fn notes(&self, name: &str) -> PathBuf {
        self.folder.join(name).join(NOTES)
    }

    /// Makes the disk that a recording begins with.
    pub(super) fn prepare(&self, name: &str, remains: &Remains) {
        let root = self.root(name);
        if !root.exists() {
            fs::create_dir_all(&root).unwrap();
            remains.lay_out(&root);
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("strace.log")
    }

    /// What the process does according to its plan, call by call. It goes on in the folder of
    /// the recording `at`.
    pub(super) fn calls(&self, name: &str, at: &str, commits: Commits, plan: &str) -> Vec<Call> {
        let log = self.log(name);
        if !log.exists() {
            fs::create_dir_all(self.folder.join(name)).unwrap();
            record(&log, &self.folder.join(at), &format!("{commits:?}: {plan}"));
        }
        let calls = trace::parse(&fs::read_to_string(log).unwrap());
        calls.unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn record(log: &Path, folder: &Path, plan: &str) {
    let unfinished = log.with_extension("unfinished");
    let output = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", &BUFFER_BYTES_MAX.to_string(), "-e", NOT_TRACED, "-o"])
        .arg(&unfinished)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--ignored", "--nocapture", "--test-threads=1"])
        .env(PLAN, plan)
        .env(FOLDER, folder)
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("power cuts are recorded with strace, which does not start: {error}; install it")
    });
    assert!(
        output.status.success(),
        "strace {plan:?} ended with {}. If it says that ptrace is not permitted, give this \
         machine or container that right (CAP_SYS_PTRACE).\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    fs::rename(unfinished, log).unwrap();
}
