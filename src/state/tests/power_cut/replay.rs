//! From recorded calls to the model of the disk: what each call did, and what it made durable.

use std::collections::HashMap;

use super::{
    disk::{Disk, Id, Node, ROOT, What},
    trace::{Call, hex},
};

/// These cannot change a file, a name or what is synced.
const HARMLESS: [&str; 13] = [
    "statx",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "access",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents64",
    "flock",
    "fadvise64",
    // It starts writing and promises nothing.
    "sync_file_range",
];

/// An open file or folder below the root.
#[derive(Debug)]
struct Handle {
    node: Id,
    /// Where the next `write` goes; `None` where reads move it too, unseen.
    position: Option<usize>,
}

/// One process, seen through its calls.
#[derive(Debug)]
pub(super) struct Replay {
    pub disk: Disk,
    root: String,
    root_in_hex: String,
    notes_in_hex: String,
    handles: HashMap<i64, Handle>,
    /// What each thread's sync will have made durable when it returns.
    syncs: HashMap<u32, (Id, u64)>,
}

impl Replay {
    /// `root` is the folder that the disk stands for, `notes` a file beside it.
    pub(super) fn new(disk: Disk, root: &str, notes: &str) -> Self {
        Self {
            disk,
            root: root.into(),
            root_in_hex: hex(root),
            notes_in_hex: hex(notes),
            handles: HashMap::new(),
            syncs: HashMap::new(),
        }
    }

    /// Does what a call did. Gives back the line that the process noted with it, if any.
    pub(super) fn step(&mut self, call: &Call) -> Result<Option<String>, String> {
        let failed = |error| format!("{}({:.400}): {error}", call.name, call.arguments);
        if call.mentions(&self.notes_in_hex) {
            // What is noted is said, so it counts from when the call was entered.
            let noted = call.name == "write" && call.result.is_none();
            return noted.then(|| call.text(1)).transpose().map_err(failed);
        }
        let done = match call.result {
            None => self.enter(call),
            Some(result) if result >= 0 => self.leave(call, result),
            Some(_) => Ok(()),
        };
        done.map_err(failed)?;
        Ok(None)
    }

    fn enter(&mut self, call: &Call) -> Result<(), String> {
        match call.name.as_str() {
            // The kernel may give the number away again before this returns.
            "close" => drop(call.descriptor(0)?.and_then(|number| self.handles.remove(&number))),
            "fsync" | "fdatasync" => {
                if let Some(node) = self.handle(call, 0)?.map(|handle| handle.node) {
                    self.syncs.insert(call.thread, (node, self.disk.order()));
                }
            }
            "clone" | "clone3" if !call.arguments.contains("CLONE_THREAD") => {
                return Err("another process would not be understood".into());
            }
            "fork" | "vfork" => return Err("another process would not be understood".into()),
            _ => {}
        }
        Ok(())
    }

    fn leave(&mut self, call: &Call, result: i64) -> Result<(), String> {
        match call.name.as_str() {
            "fsync" | "fdatasync" => {
                if let Some((node, order)) = self.syncs.remove(&call.thread) {
                    self.disk.sync(node, order);
                }
            }
            "write" => self.write(call, result, None)?,
            "pwrite64" => {
                let offset = call.number(3)? as usize;
                self.write(call, result, Some(offset))?;
            }
            "ftruncate" => {
                if let Some(node) = self.handle(call, 0)?.map(|handle| handle.node) {
                    let length = call.number(1)? as usize;
                    self.disk.write(node, What::Length(length));
                }
            }
            "lseek" => {
                if let Some(handle) = self.handle(call, 0)?
                    && let Some(position) = &mut handle.position
                {
                    *position = result as usize;
                }
            }
            _ if !call.mentions(&self.root_in_hex) => {}
            "openat" => self.open(call, result)?,
            "mkdir" => {
                let (folder, name, _) = self.find(None, &call.text(0)?)?;
                self.disk.create(folder, &name, true);
            }
            "mkdirat" => {
                let (folder, name, _) = self.find(call.descriptor(0)?, &call.text(1)?)?;
                self.disk.create(folder, &name, true);
            }
            "rename" => self.rename(&call.text(0)?, &call.text(1)?)?,
            "renameat" | "renameat2" => self.rename(&call.text(1)?, &call.text(3)?)?,
            "unlink" | "rmdir" => self.remove(None, &call.text(0)?)?,
            "unlinkat" => self.remove(call.descriptor(0)?, &call.text(1)?)?,
            "fcntl" if !call.arguments.contains("F_DUPFD") => {}
            "mmap" if !call.arguments.contains("MAP_SHARED") => {}
            name if HARMLESS.contains(&name) || name == "close" => {}
            _ => return Err("this test does not know that call".into()),
        }
        Ok(())
    }

    /// The handle of a descriptor, where it is below the root.
    fn handle(&mut self, call: &Call, place: usize) -> Result<Option<&mut Handle>, String> {
        let known = call.descriptor(place)?.and_then(|number| self.handles.get_mut(&number));
        if known.is_none() && call.argument(place)?.contains(&self.root_in_hex) {
            return Err("a descriptor that was not seen opening".into());
        }
        Ok(known)
    }

    fn find(&self, at: Option<i64>, path: &str) -> Result<(Id, String, Option<Id>), String> {
        if let Some(below) = path.strip_prefix(&self.root) {
            return self.disk.find(ROOT, below);
        }
        let handle = at.and_then(|number| self.handles.get(&number));
        let handle = handle.filter(|_| !path.starts_with('/'));
        self.disk.find(handle.ok_or("it is outside of the root")?.node, path)
    }

    fn open(&mut self, call: &Call, result: i64) -> Result<(), String> {
        let (at, path, flags) = (call.descriptor(0)?, call.text(1)?, call.argument(2)?);
        let has = |flag| flags.split('|').any(|one| one == flag);
        if ["O_SYNC", "O_DSYNC", "O_TMPFILE", "O_APPEND"].into_iter().any(has) {
            return Err("a way of opening that is not modelled".into());
        }
        let (folder, name, found) = self.find(at, &path)?;
        let node = match found {
            Some(node) => node,
            None if has("O_CREAT") => self.disk.create(folder, &name, false),
            None => return Err("it opened what is not there".into()),
        };
        if has("O_TRUNC") {
            self.disk.write(node, What::Length(0));
        }
        let position = has("O_WRONLY").then_some(0);
        let displaced = self.handles.insert(result, Handle { node, position });
        displaced.is_none().then_some(()).ok_or_else(|| "a descriptor is taken twice".into())
    }

    fn write(&mut self, call: &Call, result: i64, offset: Option<usize>) -> Result<(), String> {
        let Some(handle) = self.handle(call, 0)? else { return Ok(()) };
        let written = result as usize;
        let node = handle.node;
        let offset = if let Some(offset) = offset {
            offset
        } else {
            let position = handle.position.as_mut().ok_or("the position is not known")?;
            *position += written;
            *position - written
        };
        let mut bytes = call.bytes(1)?;
        if bytes.len() < written {
            return Err("strace cut the bytes".into());
        }
        bytes.truncate(written);
        self.disk.write(node, What::Bytes { offset, bytes: bytes.into() });
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), String> {
        let (folder, old_name, found) = self.find(None, from)?;
        let (new_folder, new_name, _) = self.find(None, to)?;
        let moved = found.ok_or("it is not there")?;
        if folder != new_folder {
            return Err("from one folder to another".into());
        }
        self.disk.rename(folder, Some(old_name), Some((new_name, moved)));
        Ok(())
    }

    fn remove(&mut self, at: Option<i64>, path: &str) -> Result<(), String> {
        let (folder, name, found) = self.find(at, path)?;
        let removed = found.ok_or("it is not there")?;
        if matches!(&self.disk.nodes[removed], Node::Folder { now, .. } if !now.is_empty()) {
            return Err("it is not empty".into());
        }
        self.disk.rename(folder, Some(name), None);
        Ok(())
    }
}
