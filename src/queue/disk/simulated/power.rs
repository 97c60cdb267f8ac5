//! What was written and not synced, and what a power cut leaves of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub(crate) const SECTOR_BYTES: usize = 512;

/// What a power cut leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing.
    Everything,
    /// Of each file, and of the names, the first changes, the last of these cut short where a
    /// sector begins.
    KeepPrefix,
    /// The same, cut short at any byte, as no disk should.
    KeepBytes,
    /// Any sectors and any names.
    KeepSectors,
}

impl Loss {
    pub(crate) const ALL: [Self; 4] =
        [Self::Everything, Self::KeepPrefix, Self::KeepSectors, Self::KeepBytes];
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    pub(super) fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => {
                if data.len() < at + bytes.len() {
                    data.resize(at + bytes.len(), 0);
                }
                data[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Length(length) => data.resize(*length, 0),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    pub(super) data: Vec<u8>,
    pub(super) synced: Vec<u8>,
    pub(super) pending: Vec<Change>,
    /// A failed sync forgot changes: what is read is no longer what a power cut leaves.
    pub(super) forgotten: bool,
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }

    /// The file that a name was given to.
    pub(super) fn linked(&self) -> Option<usize> {
        match self {
            Self::Link(_, inode) => Some(*inode),
            Self::Unlink(_) | Self::Rename(..) => None,
        }
    }

    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Link(path, _) | Self::Unlink(path) | Self::Rename(path, _) => path.parent(),
        }
    }
}

impl Inode {
    /// What is left after a power cut.
    pub(super) fn survive(&mut self, loss: Loss, chance: &mut impl FnMut(u64) -> u64) {
        if self.pending.is_empty() && !self.forgotten {
            return;
        }
        self.forgotten = false;
        let pending = std::mem::take(&mut self.pending);
        let kept = chance(pending.len() as u64 + 1) as usize;
        for (number, change) in pending.iter().enumerate() {
            match (loss, change) {
                (Loss::KeepPrefix | Loss::KeepBytes, _) if number < kept => {
                    change.apply(&mut self.synced);
                }
                (Loss::KeepPrefix | Loss::KeepBytes, Change::Write(at, bytes))
                    if number == kept =>
                {
                    let mut end = at + chance(bytes.len() as u64 + 1) as usize;
                    if loss == Loss::KeepPrefix && end < at + bytes.len() {
                        end = (end / SECTOR_BYTES * SECTOR_BYTES).max(*at);
                    }
                    Change::Write(*at, bytes[..end - at].to_vec()).apply(&mut self.synced);
                }
                (Loss::Everything | Loss::KeepPrefix | Loss::KeepBytes, _) => {}
                (Loss::KeepSectors, Change::Length(_)) => {
                    if chance(2) == 0 {
                        change.apply(&mut self.synced);
                    }
                }
                (Loss::KeepSectors, Change::Write(at, bytes)) => {
                    let mut done = 0;
                    while done < bytes.len() {
                        let sector_end = ((at + done) / SECTOR_BYTES + 1) * SECTOR_BYTES - at;
                        let end = sector_end.min(bytes.len());
                        if chance(2) == 0 {
                            Change::Write(at + done, bytes[done..end].to_vec())
                                .apply(&mut self.synced);
                        }
                        done = end;
                    }
                }
            }
        }
        self.data.clone_from(&self.synced);
    }
}
