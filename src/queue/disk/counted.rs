//! A disk that counts what is written to it.

use std::{io, path::Path, sync::Arc};

use super::{Access, Disk, DiskFile, Entry, Lock, Space};
use crate::wear::{Meter, Part};

/// Another disk, with a meter between.
#[derive(Debug)]
pub(crate) struct CountedDisk {
    disk: Arc<dyn Disk>,
    meter: Arc<Meter>,
}

impl CountedDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>, meter: Arc<Meter>) -> Self {
        Self { disk, meter }
    }

    fn counted(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let meter = Arc::clone(&self.meter);
        Arc::new(CountedFile { file, meter, part: Part::of_file(path) })
    }
}

impl Disk for CountedDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.counted(path, self.disk.create(path)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, access)?;
        match access {
            Access::Read => Ok(file),
            Access::Write => Ok(self.counted(path, file)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.meter.sync();
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.disk.space(dir)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn DiskFile>,
    meter: Arc<Meter>,
    part: Part,
}

impl DiskFile for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // A write that fails may have worn the device all the same.
        self.meter.write(self.part.at(offset), offset, bytes.len() as u64);
        self.file.write_at(bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn sync(&self) -> io::Result<()> {
        self.meter.sync();
        self.file.sync()
    }
}
