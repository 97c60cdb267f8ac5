//! sled, with what it lacks: a real sync, a check of its content, and a way out as an export.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{
    export,
    files::{Files, sync_folder},
    mark::{Mark, Seen},
    rows::{self, Entries, Joined, META_KEY, Meta},
};

/// sled also cleans up in the background; this often is enough for a store that is rarely written.
const CLEAN_UP_INTERVAL_MILLIS: u64 = 5_000;
/// Rows that one batch of a rebuild inserts.
const REBUILD_BATCH_ROWS: usize = 64;

/// How sled names a snapshot while it writes it.
const UNFINISHED_SNAPSHOT: &str = "generating";

/// What makes a write durable.
pub(super) type Sync = fn(&File) -> io::Result<()>;

/// One group of changes: the prefix of the entry's rows, and its new value or `None`.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What is wrong with the store or its disk.
#[derive(Debug, Error)]
pub(super) enum Problem {
    #[error(transparent)]
    Sled(#[from] sled::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("its rows do not add up: {0}")]
    Content(String),
    #[error("sled panicked: {0}")]
    Panicked(String),
    #[error("it did not come back within {0} s")]
    Stuck(u64),
}

impl Problem {
    /// Whether another owner of the files, with other rights, could go on where this one cannot.
    pub(super) fn is_permission(&self) -> bool {
        let kind = match self {
            Self::Io(error) | Self::Sled(sled::Error::Io(error)) => error.kind(),
            _ => return false,
        };
        kind == io::ErrorKind::PermissionDenied
    }
}

pub(super) struct Engine {
    db: sled::Db,
    db_file: File,
    mark: Mark,
    meta: Meta,
    sync: Sync,
}

impl Engine {
    /// Opens the store and checks its content. May panic or hang: call it behind a guard.
    pub(super) fn open(files: &Files, cache_bytes: u64, sync: Sync) -> Result<Self, Problem> {
        let (db, db_file) = open_sled(&files.store(), cache_bytes)?;
        let meta = verify(&db)?;
        files.sync_data_dir()?;
        Ok(Self { db, db_file, mark: Mark::open(&files.mark())?, meta, sync })
    }

    pub(super) fn meta(&self) -> Meta {
        self.meta
    }

    /// Commits all changes as one, and returns when they are on disk.
    pub(super) fn commit(&mut self, changes: &Changes) -> Result<(), Problem> {
        let mut meta = self.meta;
        let mut batch = sled::Batch::default();
        for (prefix, value) in changes {
            for old in self.db.scan_prefix(prefix) {
                let (key, old) = old?;
                meta.subtract(&key, &old);
                batch.remove(key);
            }
            for (key, row) in value.iter().flat_map(|value| rows::split(prefix, value)) {
                meta.add(&key, &row);
                batch.insert(key, row);
            }
        }
        meta.sequence += 1;
        self.write(batch, meta)
    }

    /// Goes on under a new epoch, at a sequence that was never used.
    pub(super) fn begin_epoch(&mut self, seen: Seen) -> Result<(), Problem> {
        let meta = Meta { sequence: seen.sequence + 1, epoch: seen.epoch + 1, ..self.meta };
        self.write(sled::Batch::default(), meta)
    }

    fn write(&mut self, mut batch: sled::Batch, meta: Meta) -> Result<(), Problem> {
        batch.insert(META_KEY, meta.to_bytes());
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        (self.sync)(&self.db_file)?;
        self.meta = meta;
        self.mark.write(Seen { sequence: meta.sequence, epoch: meta.epoch })?;
        Ok(())
    }

    pub(super) fn get(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
        let mut joined = Joined::default();
        let mut found = false;
        for row in self.db.scan_prefix(prefix) {
            let (key, value) = row?;
            found = true;
            let number = rows::owner(&key).map(|(_, _, number)| number);
            if !number.is_some_and(|number| joined.push(number, &value)) {
                return Err(Problem::Content(format!("a piece of {prefix:02x?} is missing")));
            }
        }
        match joined.finish() {
            None if found => Err(Problem::Content(format!("the end of {prefix:02x?} is missing"))),
            value => Ok(value),
        }
    }

    /// Entries of a table in the order of key length, then key; from the one after `after` on.
    pub(super) fn scan(
        &self,
        table: &str,
        after: Option<&[u8]>,
        entries_max: usize,
    ) -> Result<Entries, Problem> {
        let table_prefix = rows::table_prefix(table);
        let start = after.map_or_else(
            || table_prefix.clone(),
            |key| {
                let mut last_row = rows::entry_prefix(table, key);
                last_row.extend_from_slice(&[0xFF, 0xFF, 0]);
                last_row
            },
        );
        let mut entries = Entries::new();
        for row in self.db.range(start..) {
            let (key, _) = row?;
            if !key.starts_with(&table_prefix) || entries.len() >= entries_max {
                break;
            }
            if let Some((_, entry, 0)) = rows::owner(&key) {
                let value = self.get(&key[..key.len() - 2])?;
                entries.push((entry.to_vec(), value.unwrap_or_default()));
            }
        }
        Ok(entries)
    }

    /// Exports what the store shows now, which after a failed commit may be that commit.
    pub(super) fn export_what_is_shown(&mut self, files: &Files) -> Result<Meta, Problem> {
        self.meta = verify(&self.db)?;
        self.export(files)?;
        Ok(self.meta)
    }

    /// Writes every row beside the store.
    pub(super) fn export(&self, files: &Files) -> Result<(), Problem> {
        let mut failed = None;
        files
            .replace(&files.export(), |out| {
                export::write_header(out, &self.meta)?;
                for row in self.db.iter() {
                    match row {
                        Ok((key, _)) if &*key == META_KEY => {}
                        Ok((key, value)) => export::write_row(out, &key, &value)?,
                        Err(error) => {
                            failed = Some(error);
                            return Err(io::ErrorKind::InvalidData.into());
                        }
                    }
                }
                Ok(())
            })
            .map_err(|error| failed.take().map_or(Problem::Io(error), Problem::Sled))
    }
}

/// Builds a store of these rows in a folder of its own.
pub(super) fn build(
    folder: &Path,
    cache_bytes: u64,
    sync: Sync,
    rows: &Entries,
    seen: Seen,
) -> Result<(), Problem> {
    let (db, db_file) = open_sled(folder, cache_bytes)?;
    let mut meta = Meta { sequence: seen.sequence, epoch: seen.epoch, ..Meta::default() };
    for chunk in rows.chunks(REBUILD_BATCH_ROWS) {
        let mut batch = sled::Batch::default();
        for (key, value) in chunk {
            meta.add(key, value);
            batch.insert(key.as_slice(), value.as_slice());
        }
        db.apply_batch(batch)?;
    }
    db.insert(META_KEY, meta.to_bytes())?;
    db.flush()?;
    sync(&db_file)?;
    sync_folder(folder)?;
    Ok(())
}

fn open_sled(folder: &Path, cache_bytes: u64) -> Result<(sled::Db, File), Problem> {
    remove_unfinished_snapshots(folder)?;
    let db = sled::Config::new()
        .path(folder)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(CLEAN_UP_INTERVAL_MILLIS))
        .open()?;
    let db_file = File::open(db_path(folder))?;
    // sled syncs neither its configuration nor what it read of a log that a killed process left.
    for entry in fs::read_dir(folder)? {
        File::open(entry?.path())?.sync_all()?;
    }
    sync_folder(folder)?;
    Ok((db, db_file))
}

/// sled takes a snapshot that it had not finished for its newest one, and refuses to open.
fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    // There may be no store yet, or something else in its place, which sled will say.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED_SNAPSHOT) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The one file of sled's folder that holds what was reported durable.
pub(super) fn db_path(folder: &Path) -> PathBuf {
    folder.join("db")
}

/// Reads every row and compares with the store's own account of them.
fn verify(db: &sled::Db) -> Result<Meta, Problem> {
    let mut found = Meta::default();
    let mut said = None;
    for row in db.iter() {
        let (key, value) = row?;
        if &*key == META_KEY {
            said = Some(Meta::from_bytes(&value));
        } else if rows::owner(&key).is_some() {
            found.add(&key, &value);
        } else {
            return Err(Problem::Content("a row belongs to no table".into()));
        }
    }
    match said {
        None if found.rows == 0 => Ok(Meta::default()),
        Some(Some(said)) if (said.digest, said.rows) == (found.digest, found.rows) => Ok(said),
        Some(Some(said)) => Err(Problem::Content(format!(
            "{} rows of {}, or some that were not written like that",
            found.rows, said.rows
        ))),
        _ => Err(Problem::Content("the account of them is missing".into())),
    }
}
