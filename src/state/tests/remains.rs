//! A data directory as it is left, held in memory so that thousands can be made of it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tempfile::TempDir;

/// With this a test that draws at random draws the same again.
pub(super) const SEED: &str = "HOLDFAST_TEST_SEED";
/// A page of nothing but zeros is not written but left as a hole.
const PAGE_BYTES: usize = 4096;

pub(super) fn seed() -> u64 {
    let given = std::env::var(SEED).ok().map(|text| text.parse().expect("a number as the seed"));
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap().as_nanos() as u64
    })
}

/// Splitmix64: the same numbers for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// Files by their paths; a folder has no content.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Remains(pub BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Remains {
    /// All that is in a folder.
    pub(super) fn of(folder: &Path) -> Self {
        fn take(folder: &Path, name: &Path, all: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
            for entry in fs::read_dir(folder.join(name)).unwrap() {
                let name = name.join(entry.unwrap().file_name());
                let path = folder.join(&name);
                if path.is_dir() {
                    all.insert(name.clone(), None);
                    take(folder, &name, all);
                } else {
                    all.insert(name, Some(fs::read(path).unwrap()));
                }
            }
        }
        let mut all = BTreeMap::new();
        take(folder, Path::new(""), &mut all);
        Self(all)
    }

    /// Puts it on the real disk, below a folder that is there.
    pub(super) fn lay_out(&self, folder: &Path) {
        for (path, content) in &self.0 {
            let path = folder.join(path);
            let Some(content) = content else {
                fs::create_dir(path).unwrap();
                continue;
            };
            let file = File::create(path).unwrap();
            file.set_len(content.len() as u64).unwrap();
            for (page, bytes) in content.chunks(PAGE_BYTES).enumerate() {
                if bytes.iter().any(|byte| *byte != 0) {
                    file.write_all_at(bytes, (page * PAGE_BYTES) as u64).unwrap();
                }
            }
        }
    }
}

/// Where crash states are laid out, and opened: a thousand of them would wear a real disk.
pub(super) fn temporary_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = memory.is_dir().then(|| TempDir::new_in(memory));
    in_memory.and_then(Result::ok).unwrap_or_else(|| TempDir::new().unwrap())
}
