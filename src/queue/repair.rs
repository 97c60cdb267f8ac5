//! Putting a folder right, explicitly.
//!
//! It does what opening and reading would do in time: damage is settled, counted under its source
//! and copied to the quarantine, the cursor is written anew, files that hold nothing needed are
//! removed. Intact records stay where they are, and a folder in which there is nothing to put
//! right stays as it is.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use thiserror::Error;

use super::{
    Environment, Folder, InspectError, Ledger, OpenError, Report, StreamOptions,
    damage::examine,
    open::{Opened, lock, open_streams},
};

/// What was wrong, and what was done.
#[derive(Debug, Clone)]
pub struct Repaired {
    /// What was wrong.
    pub found: Report,
    /// Files that held nothing needed and are gone, `stream/file`.
    pub removed: Vec<String>,
    /// Files that were made, `stream/file`: what was cut out, for the most part.
    pub made: Vec<String>,
    /// What could not be put right.
    pub remaining: Report,
    /// The ledger as the folder told it before.
    pub before: Ledger,
    /// And after.
    pub after: Ledger,
}

impl Repaired {
    /// Whether there was nothing to do, and nothing was done.
    pub fn was_sound(&self) -> bool {
        self.found.is_clean() && self.removed.is_empty() && self.made.is_empty()
    }
}

/// Why a folder could not be repaired.
#[derive(Debug, Error)]
pub enum RepairError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It could not be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// What was found could not be written down.
    #[error("{dir} cannot be written: {source}; nothing was removed that is still needed")]
    Write {
        /// The folder.
        dir: String,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Repairs the queue in `dir`, which no gateway may have open. `options` are those of the streams
/// that are configured; only streams that are there are touched.
pub fn repair(
    dir: &Path,
    options: Vec<StreamOptions>,
    environment: &Environment,
) -> Result<Repaired, RepairError> {
    let folder = Folder::on(Arc::clone(&environment.disk), dir).with_keys(environment.keys.clone());
    let there = folder.streams()?;
    // A running gateway is found out before its folder is read twice.
    let held = lock(&*environment.disk, dir)?;
    let found = folder.verify()?;
    let before = folder.ledger()?;
    if found.is_clean() && removable(&folder)?.is_empty() {
        let (remaining, after) = (found.clone(), before.clone());
        return Ok(Repaired { found, removed: vec![], made: vec![], remaining, before, after });
    }
    let files_before = inventory(&folder)?;
    drop(held);
    let options = options.into_iter().filter(|options| there.contains(&options.name)).collect();
    let Opened { streams, mut committer, lock: held, .. } =
        open_streams(dir, options, environment)?;
    for shared in &streams {
        let damaged: BTreeSet<_> = found.damage.iter().map(|damage| damage.file.as_str()).collect();
        let segments: Vec<_> = shared.state().segments.iter().map(|segment| segment.name).collect();
        for name in segments.into_iter().filter(|name| damaged.contains(&*name.file_name())) {
            // One that cannot be read at all may be readable on another day, and stays; the look
            // that follows says so.
            let _ = examine(shared, name);
        }
    }
    let written = committer.persist();
    written.map_err(|source| RepairError::Write { dir: dir.display().to_string(), source })?;
    let (after, files_after) = (folder.ledger()?, inventory(&folder)?);
    let remaining = folder.verify()?;
    drop(held);
    let removed = files_before.difference(&files_after).cloned().collect();
    let made = files_after.difference(&files_before).cloned().collect();
    Ok(Repaired { found, removed, made, remaining, before, after })
}

/// What [`repair`] would remove.
pub fn removable(folder: &Folder) -> Result<Vec<String>, InspectError> {
    let mut names = Vec::new();
    for stream in folder.streams()? {
        let dead = folder.dead_files(&stream)?;
        names.extend(dead.into_iter().map(|file| format!("{stream}/{file}")));
    }
    Ok(names)
}

fn inventory(folder: &Folder) -> Result<BTreeSet<String>, InspectError> {
    let mut names = BTreeSet::new();
    for stream in folder.streams()? {
        let files = folder.files(&stream)?;
        let segments = files.segments.into_iter().map(|file| file.file);
        let all = segments.chain(files.others.into_iter().map(|file| file.file));
        names.extend(all.map(|file| format!("{stream}/{file}")));
    }
    Ok(names)
}
