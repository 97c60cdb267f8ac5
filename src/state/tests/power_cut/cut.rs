//! What a power cut leaves of the disk.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{
    disk::{Disk, Id, Names, Node, ROOT, What, Write, put},
    script::DATA_DIR,
};
use crate::tests::remains::{Random, Remains};

/// What the device writes whole or not at all.
const SECTOR_BYTES: usize = 512;
const PAGE_BYTES: usize = 4096;

/// What becomes of content, or of names, that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Lost,
    Kept,
    /// Kept up to some point of time; the write at that point is torn.
    Prefix,
    /// Any sector of any write, any change of a name.
    Sectors,
    /// The same in pages.
    Pages,
}

/// The fates of content and of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mode {
    pub content: Fate,
    pub names: Fate,
}

/// The first loses all that was not synced, the fourth nothing: that is a killed process.
pub(super) const MODES: [Mode; 12] = {
    use Fate::{Kept, Lost, Pages, Prefix, Sectors};
    const fn mode(content: Fate, names: Fate) -> Mode {
        Mode { content, names }
    }
    [
        mode(Lost, Lost),
        mode(Kept, Lost),
        mode(Lost, Kept),
        mode(Kept, Kept),
        mode(Prefix, Kept),
        mode(Sectors, Kept),
        mode(Pages, Kept),
        mode(Prefix, Prefix),
        mode(Sectors, Prefix),
        mode(Prefix, Sectors),
        mode(Sectors, Sectors),
        mode(Pages, Sectors),
    ]
};

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "content {:?}, names {:?}", self.content, self.names)
    }
}

/// Cuts the power.
pub(super) fn cut(disk: &Disk, mode: Mode, random: &mut Random) -> Remains {
    let orders = pending_orders(disk);
    // Prefixes end somewhere in what is pending; content and names have each their own journal.
    let point = |random: &mut Random| match orders.len() {
        0 => 0,
        count => orders[random.below(count)],
    };
    let chance = [10, 50, 90][random.below(3)];
    let cut = Cut { disk, mode, content: point(random), names: point(random), chance };
    let mut remains = BTreeMap::new();
    cut.folder(ROOT, Path::new(""), random, &mut remains);
    start_again(&mut remains);
    Remains(remains)
}

/// After a power cut the kernel is another one, and says so.
fn start_again(remains: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    let path = Path::new(DATA_DIR).join("state.opening");
    let Some(Some(attempts)) = remains.get_mut(&path) else { return };
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = String::from_utf8_lossy(attempts);
    *attempts = text.replace(boot.trim(), "another-boot").into_bytes();
}

fn pending_orders(disk: &Disk) -> Vec<u64> {
    let mut orders = Vec::new();
    for node in &disk.nodes {
        match node {
            Node::File { pending, .. } => orders.extend(pending.iter().map(|write| write.order)),
            Node::Folder { pending, .. } => orders.extend(pending.iter().map(|name| name.order)),
        }
    }
    orders.sort_unstable();
    orders
}

struct Cut<'a> {
    disk: &'a Disk,
    mode: Mode,
    /// Where the journals end, if prefixes are kept.
    content: u64,
    names: u64,
    /// Of a sector, page or name to be kept.
    chance: usize,
}

impl Cut<'_> {
    fn folder(
        &self,
        id: Id,
        path: &Path,
        random: &mut Random,
        remains: &mut BTreeMap<PathBuf, Option<Vec<u8>>>,
    ) {
        for (name, id) in self.names_of(id, random) {
            let path = path.join(name);
            match &self.disk.nodes[id] {
                Node::File { durable, pending } => {
                    let mut content = durable.clone();
                    self.settle(&mut content, pending, random);
                    remains.insert(path, Some(content));
                }
                Node::Folder { .. } => {
                    remains.insert(path.clone(), None);
                    self.folder(id, &path, random, remains);
                }
            }
        }
    }

    fn names_of(&self, folder: Id, random: &mut Random) -> Names {
        let Node::Folder { durable, pending, .. } = &self.disk.nodes[folder] else {
            return Names::new();
        };
        let mut names = durable.clone();
        for naming in pending {
            let kept = match self.mode.names {
                Fate::Lost => false,
                Fate::Kept => true,
                Fate::Prefix => naming.order <= self.names,
                Fate::Sectors | Fate::Pages => random.percent(self.chance),
            };
            if kept {
                naming.apply(&mut names);
            }
        }
        names
    }

    fn settle(&self, content: &mut Vec<u8>, pending: &[Write], random: &mut Random) {
        for write in pending {
            match self.mode.content {
                Fate::Kept => write.apply(content),
                Fate::Prefix if write.order < self.content => write.apply(content),
                Fate::Prefix if write.order == self.content => tear(content, write, random),
                Fate::Prefix | Fate::Lost => {}
                Fate::Sectors => self.scatter(content, write, SECTOR_BYTES, random),
                Fate::Pages => self.scatter(content, write, PAGE_BYTES, random),
            }
        }
        // The length is kept apart from the content, and may have got further.
        let scattered = matches!(self.mode.content, Fate::Sectors | Fate::Pages);
        if scattered && random.percent(50) {
            let mut now = 0;
            for write in pending {
                now = match &write.what {
                    What::Bytes { offset, bytes } => now.max(offset + bytes.len()),
                    What::Length(length) => *length,
                };
            }
            content.resize(content.len().max(now), 0);
        }
    }

    fn scatter(
        &self,
        content: &mut Vec<u8>,
        write: &Write,
        piece_bytes: usize,
        random: &mut Random,
    ) {
        let What::Bytes { offset, bytes } = &write.what else {
            if random.percent(self.chance) {
                write.apply(content);
            }
            return;
        };
        let mut start = 0;
        while start < bytes.len() {
            let to_boundary = piece_bytes - (offset + start) % piece_bytes;
            let end = bytes.len().min(start + to_boundary);
            if random.percent(self.chance) {
                put(content, offset + start, &bytes[start..end]);
            }
            start = end;
        }
    }
}

/// Keeps the first sectors of a write.
fn tear(content: &mut Vec<u8>, write: &Write, random: &mut Random) {
    let What::Bytes { offset, bytes } = &write.what else { return };
    let end = offset + random.below(bytes.len() + 1);
    let whole = (end / SECTOR_BYTES * SECTOR_BYTES).max(*offset);
    put(content, *offset, &bytes[..whole - offset]);
}
