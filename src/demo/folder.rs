//! The run's own folder.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Names tried before giving up.
const ATTEMPTS_MAX: usize = 16;
/// A killed gateway may write its last file while the folder goes: how often to try again.
const REMOVALS_MAX: usize = 20;
const REMOVAL_INTERVAL: Duration = Duration::from_millis(50);

/// A new folder for temporary files, for its owner alone. Removed with everything in it when this
/// is dropped, unless it is kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    /// Makes the folder.
    pub fn create() -> io::Result<Self> {
        for _ in 0..ATTEMPTS_MAX {
            let number = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
            let path = std::env::temp_dir().join(format!("holdfast-demo-{number:016x}"));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, kept: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it there.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for _ in 0..REMOVALS_MAX {
            if fs::remove_dir_all(&self.path).is_ok() {
                return;
            }
            thread::sleep(REMOVAL_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_content_unless_it_is_kept() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());

        let mut kept = Folder::create().unwrap();
        kept.keep();
        let path = kept.path().to_owned();
        drop(kept);
        assert!(path.exists());
        fs::remove_dir(path).unwrap();
    }
}
