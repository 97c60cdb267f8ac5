//! The names in the data directory, and what is done to files and folders there.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

const QUARANTINE_PREFIX: &str = "state.damaged-";
/// How much a probe writes to find out whether the disk takes anything at all.
const PROBE_BYTES: usize = 64 * 1024;
/// What the kernel draws anew at every start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The data directory.
#[derive(Debug, Clone)]
pub(super) struct Files {
    data_dir: PathBuf,
}

impl Files {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    pub(super) fn store(&self) -> PathBuf {
        self.data_dir.join("state")
    }

    pub(super) fn rebuilding(&self) -> PathBuf {
        self.data_dir.join("state.rebuilding")
    }

    pub(super) fn export(&self) -> PathBuf {
        self.data_dir.join("state.export")
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.data_dir.join("state.mark")
    }

    fn attempts(&self) -> PathBuf {
        self.data_dir.join("state.opening")
    }

    /// Makes the data directory, if it is not there, and its name durable.
    pub(super) fn create(&self) -> io::Result<()> {
        let missing: Vec<_> = self.data_dir.ancestors().take_while(|path| !path.exists()).collect();
        fs::create_dir_all(&self.data_dir)?;
        for parent in missing.iter().filter_map(|path| path.parent()) {
            let here = Path::new(".");
            sync_folder(if parent.as_os_str().is_empty() { here } else { parent })?;
        }
        Ok(())
    }

    pub(super) fn sync_data_dir(&self) -> io::Result<()> {
        sync_folder(&self.data_dir)
    }

    /// Writes a file so that after a crash it is either the old or the new one, whole.
    pub(super) fn replace(
        &self,
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = path.with_added_extension("tmp");
        let mut file = io::BufWriter::new(File::create(&temporary)?);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)?;
        self.sync_data_dir()
    }

    /// Counts one more attempt at opening, and says how many before it, since the machine was
    /// started, did not come back. (Those that a power cut ended say nothing about the store.)
    pub(super) fn begin_attempt(&self) -> io::Result<u32> {
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
        let noted = fs::read_to_string(self.attempts()).unwrap_or_default();
        let before = noted.split_once(' ').filter(|(_, during)| during.trim() == boot.trim());
        let before = before.and_then(|(count, _)| count.parse::<u32>().ok()).unwrap_or(0);
        fs::write(self.attempts(), format!("{} {boot}", before.saturating_add(1)))?;
        Ok(before)
    }

    /// The attempt came back, well or badly.
    pub(super) fn end_attempt(&self) {
        // If the file stays, the next opening only counts one attempt too many.
        let _ = fs::remove_file(self.attempts());
    }

    /// Whether the data directory takes and keeps new bytes; if not, the disk is what is wrong.
    pub(super) fn probe(&self) -> io::Result<()> {
        let path = self.data_dir.join("state.probe");
        let outcome = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0xA5; PROBE_BYTES])?;
            file.sync_all()
        });
        // A probe that stays behind is overwritten by the next one.
        let _ = fs::remove_file(&path);
        outcome
    }

    /// Puts the store that was built aside in its place.
    pub(super) fn adopt_rebuilt(&self) -> io::Result<()> {
        fs::rename(self.rebuilding(), self.store())?;
        self.sync_data_dir()
    }

    /// Moves the store's folder out of the way, and drops the oldest of those moved before.
    /// `None` where there is nothing to move.
    pub(super) fn quarantine(&self, keep_max: usize) -> io::Result<Option<PathBuf>> {
        if !self.store().exists() {
            return Ok(None);
        }
        let mut numbers = self.quarantined()?;
        let next = numbers.last().map_or(1, |last| last + 1);
        let target = self.data_dir.join(format!("{QUARANTINE_PREFIX}{next}"));
        fs::rename(self.store(), &target)?;
        numbers.push(next);
        let surplus = numbers.len().saturating_sub(keep_max.max(1));
        for number in &numbers[..surplus] {
            fs::remove_dir_all(self.data_dir.join(format!("{QUARANTINE_PREFIX}{number}")))?;
        }
        self.sync_data_dir()?;
        Ok(Some(target))
    }

    fn quarantined(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.data_dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(QUARANTINE_PREFIX));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a folder that may not be there.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
