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

mod fault;
mod power;

pub(crate) use fault::{Failure, Op};
use fault::{Faults, Ruling};
use power::{Change, Inode, NameChange};
pub(crate) use power::{Loss, SECTOR_BYTES};

use super::{Access, Disk, DiskFile, Entry, Lock, Space};

#[derive(Debug, Clone, Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    names_synced: BTreeMap<PathBuf, usize>,
    names_pending: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    epoch: u64,
    capacity: Option<usize>,
    faults: Faults,
    unreadable: Vec<(String, Range<u64>)>,
    locked: BTreeSet<PathBuf>,
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
        world.forget_the_nameless();
        Self(Arc::new(Mutex::new(world)))
    }

    /// Lets the next `times` operations of a kind fail on files whose name contains `name_part`.
    pub(crate) fn fail(&self, op: Op, name_part: &str, kind: io::ErrorKind, times: u64) {
        self.world().faults.fail(op, name_part, kind, times);
    }

    /// Lets the change after the next `changes` fail, and all behind it where it is `lasting`.
    pub(crate) fn fail_after(&self, changes: u64, failure: Failure, lasting: bool) {
        self.world().faults.fail_after(changes, failure, lasting);
    }

    /// What the chosen failure, or the power cut, struck first; none if it did not come to that.
    pub(crate) fn struck(&self) -> Option<(Op, PathBuf)> {
        self.world().faults.struck.clone()
    }

    pub(crate) fn power_is_off(&self) -> bool {
        self.world().faults.power_is_off
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

    /// What all files take.
    pub(crate) fn used(&self) -> usize {
        self.world().used()
    }

    /// How many changes were made so far.
    pub(crate) fn changes(&self) -> u64 {
        self.world().faults.changes
    }

    /// Lets the power fail before the change after the next `changes`.
    pub(crate) fn cut_after(&self, changes: u64) {
        self.world().faults.cut_after(changes);
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
        world.forget_the_nameless();
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
        inode.forgotten = false;
    }
}

impl World {
    /// Does what is asked for, or fails as it was told to.
    fn perform(
        &mut self,
        op: Op,
        path: &Path,
        action: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.faults.rule(op, path) {
            Ruling::Done => action(self),
            Ruling::Refused(error) | Ruling::Halved(error) => Err(error),
            Ruling::Belied(error) => action(self).and(Err(error)),
        }
    }

    /// Empties the files that no name leads to any more.
    fn forget_the_nameless(&mut self) {
        let linked = self.names_pending.iter().filter_map(NameChange::linked);
        let named: BTreeSet<usize> =
            self.names.values().chain(self.names_synced.values()).copied().chain(linked).collect();
        for (number, inode) in self.inodes.iter_mut().enumerate() {
            if !named.contains(&number) {
                *inode = Inode::default();
            }
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
        let inode = world.inodes.len();
        world.perform(Op::Create, path, |world| {
            if world.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            world.inodes.push(Inode::default());
            world.change_names(NameChange::Link(path.to_owned(), inode));
            Ok(())
        })?;
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
        self.world().perform(Op::Rename, from, |world| {
            if !world.names.contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            world.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.world().perform(Op::Remove, path, |world| {
            if !world.names.contains_key(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            world.change_names(NameChange::Unlink(path.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.world().perform(Op::SyncDir, dir, |world| {
            for change in std::mem::take(&mut world.names_pending) {
                if change.dir() == Some(dir) {
                    change.apply(&mut world.names_synced);
                } else {
                    world.names_pending.push(change);
                }
            }
            Ok(())
        })
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
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.world();
        if world.epoch != self.epoch {
            return Err(io::Error::other("the file was open before the power cut"));
        }
        Ok(world)
    }

    /// The name it has now, or had last.
    fn path(&self, world: &World) -> PathBuf {
        let mut names = world.names.iter();
        let named = names.find(|(_, inode)| **inode == self.inode).map(|(path, _)| path.clone());
        named.unwrap_or_else(|| self.path.clone())
    }

    /// Does what is asked for with this file, or fails as it was told to.
    fn perform(
        &self,
        op: Op,
        action: impl FnOnce(&mut World) -> io::Result<()>,
    ) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.world()?;
        let path = self.path(&world);
        world.perform(op, &path, action)?;
        Ok(world)
    }

    fn change(&self, world: &mut World, change: Change) {
        let inode = &mut world.inodes[self.inode];
        change.apply(&mut inode.data);
        inode.pending.push(change);
    }

    fn write(&self, world: &mut World, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset as usize + bytes.len();
        world.grow(end.saturating_sub(world.inodes[self.inode].data.len()))?;
        self.change(world, Change::Write(offset as usize, bytes.to_vec()));
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.perform(Op::Read, |_| Ok(()))?;
        let wanted = offset..offset + buffer.len() as u64;
        let path = self.path(&world);
        let name = path.to_string_lossy();
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
        let mut world = self.world()?;
        let path = self.path(&world);
        match world.faults.rule(Op::Write, &path) {
            Ruling::Done => self.write(&mut world, bytes, offset),
            Ruling::Refused(error) => Err(error),
            Ruling::Halved(error) => {
                self.write(&mut world, &bytes[..bytes.len() / 2], offset).and(Err(error))
            }
            Ruling::Belied(error) => self.write(&mut world, bytes, offset).and(Err(error)),
        }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let allocated = self.perform(Op::Allocate, |world| {
            let length = world.inodes[self.inode].data.len();
            world.grow((bytes as usize).saturating_sub(length))?;
            if bytes as usize > length {
                self.change(world, Change::Length(bytes as usize));
            }
            Ok(())
        });
        allocated.map(drop)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let cut = self.perform(Op::Truncate, |world| {
            self.change(world, Change::Length(bytes as usize));
            Ok(())
        });
        cut.map(drop)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.world().inodes[self.inode].data.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.world()?;
        let path = self.path(&world);
        let ruling = world.faults.rule(Op::Sync, &path);
        if world.faults.power_is_off {
            return Err(io::Error::other("the power is off"));
        }
        // What a failed sync was to write is forgotten: the next one succeeds without it.
        let inode = &mut world.inodes[self.inode];
        let pending = std::mem::take(&mut inode.pending);
        let (kept, outcome) = match ruling {
            Ruling::Done => (pending.len(), Ok(())),
            Ruling::Refused(error) => (0, Err(error)),
            Ruling::Halved(error) => (pending.len().div_ceil(2), Err(error)),
            Ruling::Belied(error) => (pending.len(), Err(error)),
        };
        inode.forgotten |= kept < pending.len();
        for change in &pending[..kept] {
            change.apply(&mut inode.synced);
        }
        outcome
    }
}
