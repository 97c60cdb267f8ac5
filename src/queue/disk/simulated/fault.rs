//! Which operations fail, and how.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Create,
    Rename,
    Remove,
    SyncDir,
    Write,
    Allocate,
    Truncate,
    Sync,
    Read,
    Open,
    List,
    Length,
    Lock,
    CreateDir,
}

impl Op {
    /// Whether it is counted among the changes, which are what a power cut may strike. Folders are
    /// made only when a queue is opened for the first time, so making one counts as a look.
    fn is_change(self) -> bool {
        !matches!(
            self,
            Self::Read | Self::Open | Self::List | Self::Length | Self::Lock | Self::CreateDir
        )
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing happens. A failed sync forgets what it was to write, as Linux does.
    Error(io::ErrorKind),
    /// The first half of a write or a sync happens, of anything else nothing.
    Short,
    /// All of it happens, and is reported as failed.
    Late,
}

/// What becomes of an operation.
#[derive(Debug)]
pub(super) enum Ruling {
    Done,
    Refused(io::Error),
    Halved(io::Error),
    Belied(io::Error),
}

impl Ruling {
    /// What is said of an operation that has no half and leaves nothing behind.
    pub(super) fn outcome(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Refused(error) | Self::Halved(error) | Self::Belied(error) => Err(error),
        }
    }
}

impl Failure {
    fn ruling(self) -> Ruling {
        match self {
            Self::Error(kind) => Ruling::Refused(kind.into()),
            Self::Short => Ruling::Halved(io::Error::other("a short write")),
            Self::Late => Ruling::Belied(io::Error::other("done, and reported as failed")),
        }
    }
}

#[derive(Debug, Clone)]
struct Fault {
    op: Op,
    name_part: String,
    kind: io::ErrorKind,
    times: u64,
}

/// For how long, and of what, a chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Once,
    /// It, and all of its sort that follow on the same file or folder.
    Path,
    /// It, and all of its sort that follow.
    Everything,
}

/// The failure of a change, or of a look, chosen by its number.
#[derive(Debug, Clone)]
struct Chosen {
    is_change: bool,
    number: u64,
    failure: Failure,
    extent: Extent,
    path: Option<PathBuf>,
}

impl Chosen {
    fn strikes(&mut self, op: Op, number: u64, path: &Path) -> bool {
        if op.is_change() != self.is_change || number < self.number {
            return false;
        }
        let first = self.path.get_or_insert_with(|| path.to_owned());
        number == self.number
            || self.extent == Extent::Everything
            || (self.extent == Extent::Path && first == path)
    }
}

/// All that goes wrong on one disk, and the counts by which it is chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    named: Vec<Fault>,
    chosen: Option<Chosen>,
    /// Changes so far, those that failed among them.
    pub(super) changes: u64,
    /// Everything else: reads, lists, lengths.
    pub(super) looks: u64,
    power_fails_at: Option<u64>,
    /// What was about to be done when the power failed, or when the chosen failure first struck.
    pub(super) struck: Option<(Op, PathBuf)>,
    pub(super) power_is_off: bool,
}

impl Faults {
    pub(super) fn fail(&mut self, op: Op, name_part: &str, kind: io::ErrorKind, times: u64) {
        self.named.push(Fault { op, name_part: name_part.to_owned(), kind, times });
    }

    pub(super) fn fail_after(&mut self, changes: u64, failure: Failure, lasting: bool) {
        let extent = if lasting { Extent::Everything } else { Extent::Once };
        self.choose(true, self.changes + changes, failure, extent);
    }

    pub(super) fn fail_look_after(&mut self, looks: u64, failure: Failure, extent: Extent) {
        self.choose(false, self.looks + looks, failure, extent);
    }

    fn choose(&mut self, is_change: bool, number: u64, failure: Failure, extent: Extent) {
        self.chosen = Some(Chosen { is_change, number, failure, extent, path: None });
        self.struck = None;
    }

    pub(super) fn cut_after(&mut self, changes: u64) {
        self.power_fails_at = Some(self.changes + changes);
        self.struck = None;
    }

    /// Nothing fails any more.
    pub(super) fn clear(&mut self) {
        self.named.clear();
        self.chosen = None;
        self.power_fails_at = None;
        self.power_is_off = false;
    }

    /// What becomes of the operation that is about to be done.
    pub(super) fn rule(&mut self, op: Op, path: &Path) -> Ruling {
        let count = if op.is_change() { &mut self.changes } else { &mut self.looks };
        let number = *count;
        *count += 1;
        if op.is_change() && self.power_fails_at == Some(number) {
            self.power_is_off = true;
            self.struck = Some((op, path.to_owned()));
        }
        // What was there to be listed and opened is told as before, as if from memory.
        if self.power_is_off && (op.is_change() || op == Op::Read) {
            return Ruling::Refused(io::Error::other("the power is off"));
        }
        if let Some(chosen) = &mut self.chosen
            && chosen.strikes(op, number, path)
        {
            self.struck.get_or_insert_with(|| (op, path.to_owned()));
            return chosen.failure.ruling();
        }
        let text = path.to_string_lossy();
        let fault = self
            .named
            .iter_mut()
            .find(|fault| fault.op == op && fault.times > 0 && text.contains(&fault.name_part));
        match fault {
            Some(fault) => {
                fault.times -= 1;
                // A write that failed may have been a short one.
                let halved = op == Op::Write;
                let error = fault.kind.into();
                if halved { Ruling::Halved(error) } else { Ruling::Refused(error) }
            }
            None => Ruling::Done,
        }
    }
}
