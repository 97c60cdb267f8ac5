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
    Read,
    Write,
    Allocate,
    Truncate,
    Sync,
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

/// The failure of a change chosen by its number.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    number: u64,
    failure: Failure,
    lasting: bool,
}

/// All that goes wrong on one disk, and the count of changes by which it is chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    named: Vec<Fault>,
    chosen: Option<Chosen>,
    /// Changes so far, those that failed among them.
    pub(super) changes: u64,
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
        let number = self.changes + changes;
        self.chosen = Some(Chosen { number, failure, lasting });
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
        let number = self.changes;
        if op != Op::Read {
            self.changes += 1;
            if self.power_fails_at == Some(number) {
                self.power_is_off = true;
                self.struck = Some((op, path.to_owned()));
            }
        }
        if self.power_is_off {
            return Ruling::Refused(io::Error::other("the power is off"));
        }
        if let Some(chosen) = self.chosen.filter(|_| op != Op::Read)
            && (chosen.number == number || (chosen.lasting && chosen.number < number))
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
