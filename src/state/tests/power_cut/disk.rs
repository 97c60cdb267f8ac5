//! A disk with a volatile cache: what is there now, and what of it a power cut may take away.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
    rc::Rc,
};

use crate::tests::remains::Remains;

pub(super) type Id = usize;
pub(super) const ROOT: Id = 0;

/// A change of a file's content. `order` counts all changes of the disk, as a journal would.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub order: u64,
    pub what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Bytes { offset: usize, bytes: Rc<[u8]> },
    Length(usize),
}

/// A change of a folder's names: one goes, one comes, both or neither.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    pub order: u64,
    pub gone: Option<String>,
    pub come: Option<(String, Id)>,
}

/// A file or folder: what is certain, and what is not yet synced.
#[derive(Debug, Clone)]
pub(super) enum Node {
    File { durable: Vec<u8>, pending: Vec<Write> },
    Folder { durable: Names, now: Names, pending: Vec<Naming> },
}

pub(super) type Names = BTreeMap<String, Id>;

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub nodes: Vec<Node>,
    /// All that was ever written to its files.
    pub written_bytes: usize,
    order: u64,
}

impl Write {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match &self.what {
            What::Bytes { offset, bytes } => put(content, *offset, bytes),
            What::Length(length) => content.resize(*length, 0),
        }
    }
}

impl Naming {
    pub(super) fn apply(&self, names: &mut Names) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, id)) = &self.come {
            names.insert(name.clone(), *id);
        }
    }
}

/// Writes into a content that grows as needed.
pub(super) fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Disk {
    /// Empty but for its root.
    pub(super) fn new() -> Self {
        Self { nodes: vec![empty_folder()], written_bytes: 0, order: 0 }
    }

    /// A disk on which these files are, all of them durable.
    pub(super) fn of(remains: &Remains) -> Self {
        let mut disk = Self::new();
        for (path, content) in &remains.0 {
            let (folder, name, _) = disk.find(ROOT, path.to_str().unwrap()).unwrap();
            let id = disk.create(folder, &name, content.is_none());
            if let Some(content) = content {
                disk.write(id, What::Bytes { offset: 0, bytes: content.as_slice().into() });
            }
        }
        (0..disk.nodes.len()).for_each(|id| disk.sync(id, disk.order));
        disk
    }

    /// How many changes there were.
    pub(super) fn order(&self) -> u64 {
        self.order
    }

    /// Where a path leads now: its folder, its last name and what is under it.
    pub(super) fn find(&self, from: Id, path: &str) -> Result<(Id, String, Option<Id>), String> {
        let (mut folder, mut name, mut found) = (from, String::from("."), Some(from));
        for component in Path::new(path).components() {
            let Component::Normal(next) = component else { continue };
            folder = found.ok_or_else(|| format!("{path}: no {name}"))?;
            name = next.to_str().ok_or_else(|| format!("{path} is no text"))?.to_owned();
            let Node::Folder { now, .. } = &self.nodes[folder] else {
                return Err(format!("{path}: below a file"));
            };
            found = now.get(&name).copied();
        }
        Ok((folder, name, found))
    }

    pub(super) fn create(&mut self, folder: Id, name: &str, is_folder: bool) -> Id {
        let id = self.nodes.len();
        self.nodes.push(if is_folder {
            empty_folder()
        } else {
            Node::File { durable: Vec::new(), pending: Vec::new() }
        });
        self.rename(folder, None, Some((name.to_owned(), id)));
        id
    }

    /// One name of a folder goes, another comes.
    pub(super) fn rename(&mut self, folder: Id, gone: Option<String>, come: Option<(String, Id)>) {
        self.order += 1;
        let naming = Naming { order: self.order, gone, come };
        if let Node::Folder { now, pending, .. } = &mut self.nodes[folder] {
            naming.apply(now);
            pending.push(naming);
        }
    }

    pub(super) fn write(&mut self, file: Id, what: What) {
        self.order += 1;
        if let What::Bytes { bytes, .. } = &what {
            self.written_bytes += bytes.len();
        }
        if let Node::File { pending, .. } = &mut self.nodes[file] {
            pending.push(Write { order: self.order, what });
        }
    }

    /// After a sync that failed the kernel takes what it could not write for written.
    pub(super) fn forget_unsynced(&mut self, file: Id) {
        if let Node::File { pending, .. } = &mut self.nodes[file] {
            pending.clear();
        }
    }

    /// Makes durable what was done to one file, or to the names of one folder, up to `order`.
    pub(super) fn sync(&mut self, id: Id, order: u64) {
        match &mut self.nodes[id] {
            Node::File { durable, pending } => {
                let synced = pending.partition_point(|write| write.order <= order);
                pending.drain(..synced).for_each(|write| write.apply(durable));
            }
            Node::Folder { durable, pending, .. } => {
                let synced = pending.partition_point(|naming| naming.order <= order);
                pending.drain(..synced).for_each(|naming| naming.apply(durable));
            }
        }
    }
}

fn empty_folder() -> Node {
    Node::Folder { durable: Names::new(), now: Names::new(), pending: Vec::new() }
}

#[test]
fn a_sync_covers_what_was_written_before_it_and_of_one_file_only() {
    let mut disk = Disk::new();
    let [a, b] = ["a", "b"].map(|name| disk.create(ROOT, name, false));
    let bytes = |text: &[u8]| What::Bytes { offset: 0, bytes: text.into() };
    disk.write(a, bytes(b"old"));
    disk.write(b, bytes(b"other"));
    let until = disk.order();
    disk.write(a, bytes(b"new"));
    disk.sync(a, until);
    disk.sync(ROOT, until);
    let lost = super::cut::cut(&disk, super::cut::MODES[0], &mut crate::tests::remains::Random(1));
    let content = |name: &str| lost.0[Path::new(name)].clone().unwrap();
    assert_eq!((content("a"), content("b")), (b"old".to_vec(), vec![]));
}
