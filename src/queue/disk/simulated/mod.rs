//! A disk in memory that behaves as badly as real ones may.
//!
//! It keeps apart what was written and what was synced, for contents, lengths and names. At a
//! simulated power cut the rest is lost wholly, in part, or by sectors. Any operation can be made
//! to fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

mod power;

pub(crate) use power::Loss;
use power::{Change, Inode, NameChange};

use super::{Access, Disk, DiskFile, Entry, Lock, Space};

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Rename,
    Remove,
    SyncDir,
    Read,
    Write,
    Allocate,
    Sync,
}

#[derive(Debug, Clone)]
struct Fault {
    op: Op,
    name_part: String,
    kind: io::ErrorKind,
    times: u64,
}

#[derive(Debug, Clone, Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    names_synced: BTreeMap<PathBuf, usize>,
    names_pending: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    epoch: u64,
    capacity: Option<usize>,
    faults: Vec<Fault>,
    unreadable: Vec<(String, Range<u64>)>,
    locked: BTreeSet<PathBuf>,
    changes: u64,
    changes_until_cut: Option<u64>,
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<World>>);

impl SimulatedDisk {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another disk with the same content.
    pub(crate) fn duplicate(&self) -> Self {
        let mut world = self.world().clone();
        world.locked.clear();
        Self(Arc::new(Mutex::new(world)))
    }

    /// Lets the next `times` operations of a kind fail on files whose name contains `name_part`.
    pub(crate) fn fail(&self, op: Op, name_part: &str, kind: io::ErrorKind, times: u64) {
        self.world().faults.push(Fault { op, name_part: name_part.to_owned(), kind, times });
    }

    pub(crate) fn heal(&self) {
        let mut world = self.world();
        world.faults.clear();
        world.unreadable.clear();
    }

    pub(crate) fn make_unreadable(&self, name_part: &str, bytes: Range<u64>) {
        self.world().unreadable.push((name_part.to_owned(), bytes));
    }

    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.world().capacity = bytes;
    }

    /// How many changes were made so far.
    pub(crate) fn changes(&self) -> u64 {
        self.world().changes
    }

    /// Lets the power fail before the change after the next `changes`.
    pub(crate) fn cut_after(&self, changes: u64) {
        self.world().changes_until_cut = Some(changes);
    }

    /// The power fails now (or has failed already) and returns.
    pub(crate) fn power_cut(&self, loss: Loss, chance: &mut impl FnMut(u64) -> u64) {
        let mut world = self.world();
        let world = &mut *world;
        for inode in &mut world.inodes {
            inode.survive(loss, chance);
        }
        let pending = std::mem::take(&mut world.names_pending);
        let kept = match loss {
            Loss::Everything => 0,
            _ => chance(pending.len() as u64 + 1) as usize,
        };
        for (number, change) in pending.iter().enumerate() {
            if number < kept || (loss == Loss::KeepSectors && chance(2) == 0) {
                change.apply(&mut world.names_synced);
            }
        }
        world.names = world.names_synced.clone();
        world.epoch += 1;
        world.locked.clear();
        world.faults.clear();
        world.changes_until_cut = None;
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
    }

    pub(crate) fn content(&self, path: &Path) -> Vec<u8> {
        let world = self.world();
        world.inodes[world.names[path]].data.clone()
    }

    /// Changes what lies on the disk, as damage does.
    pub(crate) fn set_content(&self, path: &Path, content: &[u8]) {
        let mut world = self.world();
        let inode = world.names[path];
        let inode = &mut world.inodes[inode];
        inode.data = content.to_vec();
        inode.synced = content.to_vec();
        inode.pending.clear();
    }
}

impl World {
    /// Fails as it was told to; counts changes.
    fn check(&mut self, op: Op, path: &Path) -> io::Result<()> {
        if op != Op::Read {
            self.changes += 1;
            if let Some(left) = &mut self.changes_until_cut {
                if *left == 0 {
                    return Err(io::Error::other("the power is off"));
                }
                *left -= 1;
            }
        } else if self.changes_until_cut == Some(0) {
            return Err(io::Error::other("the power is off"));
        }
        let text = path.to_string_lossy();
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.op == op && fault.times > 0 && text.contains(&fault.name_part));
        match fault {
            Some(fault) => {
                fault.times -= 1;
                Err(fault.kind.into())
            }
            None => Ok(()),
        }
    }

    fn used(&self) -> usize {
        self.names.values().map(|inode| self.inodes[*inode].data.len()).sum()
    }

    fn grow(&self, by: usize) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if self.used() + by > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.names_pending.push(change);
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let world = self.world();
        let files = world
            .names
            .iter()
            .map(|(path, inode)| (path, false, world.inodes[*inode].data.len() as u64));
        let dirs = world.dirs.iter().map(|path| (path, true, 0));
        let inside = files.chain(dirs).filter(|(path, ..)| path.parent() == Some(dir));
        let entry = |(path, is_dir, bytes): (&PathBuf, bool, u64)| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some(Entry { name, is_dir, bytes })
        };
        Ok(inside.filter_map(entry).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        world.check(Op::Create, path)?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = world.inodes.len();
        world.inodes.push(Inode::default());
        world.change_names(NameChange::Link(path.to_owned(), inode));
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            path: path.to_owned(),
            inode,
            epoch: world.epoch,
        }))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.world();
        let inode = *world.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let (path, epoch) = (path.to_owned(), world.epoch);
        Ok(Arc::new(SimulatedFile { disk: self.clone(), path, inode, epoch }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check(Op::Rename, from)?;
        if !world.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check(Op::Remove, path)?;
        if !world.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change_names(NameChange::Unlink(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check(Op::SyncDir, dir)?;
        let pending = std::mem::take(&mut world.names_pending);
        for change in pending {
            if change.dir() == Some(dir) {
                change.apply(&mut world.names_synced);
            } else {
                world.names_pending.push(change);
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut world = self.world();
        if !world.locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (path, epoch) = (path.to_owned(), world.epoch);
        Ok(Box::new(SimulatedLock { disk: self.clone(), path, epoch }))
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let world = self.world();
        let capacity = world.capacity.ok_or(io::ErrorKind::Unsupported)?;
        let free = capacity.saturating_sub(world.used());
        Ok(Space { free_bytes: free as u64, capacity_bytes: capacity as u64 })
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    path: PathBuf,
    epoch: u64,
}

impl Lock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.epoch == self.epoch {
            world.locked.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    path: PathBuf,
    inode: usize,
    epoch: u64,
}

impl SimulatedFile {
    fn world(&self, op: Op) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.disk.world();
        if world.epoch != self.epoch {
            return Err(io::Error::other("the file was open before the power cut"));
        }
        world.check(op, &self.path)?;
        Ok(world)
    }

    fn change(&self, world: &mut World, change: Change) {
        let inode = &mut world.inodes[self.inode];
        change.apply(&mut inode.data);
        inode.pending.push(change);
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.world(Op::Read)?;
        let wanted = offset..offset + buffer.len() as u64;
        let name = self.path.to_string_lossy();
        let bad = world.unreadable.iter().any(|(part, bytes)| {
            name.contains(part) && bytes.start < wanted.end && wanted.start < bytes.end
        });
        if bad {
            return Err(io::Error::other("the sector cannot be read"));
        }
        let data = &world.inodes[self.inode].data;
        let there = data.get(offset as usize..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = match self.world(Op::Write) {
            Ok(world) => world,
            Err(error) => {
                // A failed write may have been a short one.
                let mut world = self.disk.world();
                if world.epoch == self.epoch && world.changes_until_cut.is_none() {
                    let half = bytes[..bytes.len() / 2].to_vec();
                    self.change(&mut world, Change::Write(offset as usize, half));
                }
                return Err(error);
            }
        };
        let end = offset as usize + bytes.len();
        world.grow(end.saturating_sub(world.inodes[self.inode].data.len()))?;
        self.change(&mut world, Change::Write(offset as usize, bytes.to_vec()));
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world(Op::Allocate)?;
        let length = world.inodes[self.inode].data.len();
        world.grow((bytes as usize).saturating_sub(length))?;
        if bytes as usize > length {
            self.change(&mut world, Change::Length(bytes as usize));
        }
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world(Op::Allocate)?;
        self.change(&mut world, Change::Length(bytes as usize));
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.world().inodes[self.inode].data.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        match self.world(Op::Sync) {
            Ok(mut world) => {
                let inode = &mut world.inodes[self.inode];
                for change in std::mem::take(&mut inode.pending) {
                    change.apply(&mut inode.synced);
                }
                Ok(())
            }
            Err(error) => {
                // What a failed sync was to write is forgotten: the next one succeeds without it.
                let mut world = self.disk.world();
                if world.epoch == self.epoch && world.changes_until_cut.is_none() {
                    world.inodes[self.inode].pending.clear();
                }
                Err(error)
            }
        }
    }
}
