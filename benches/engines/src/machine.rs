//! The machine: what it is, what its disk has written, what a process takes.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::engine::PAYLOAD_BYTES;

const SECTOR_BYTES: f64 = 512.0;

/// Bytes that the device below a folder has written so far, for whatever program and with its file
/// system's journal; first, what is still in memory goes there. Not a number where the folder's
/// file system hides its device.
///
/// The counter of the process in `/proc/self/io` will not do: a write counts there for all of the
/// folio it is in, which may be a megabyte.
pub fn device_bytes(dir: &Path) -> f64 {
    let folder = File::open(dir).expect("the folder of the benchmark");
    rustix::fs::syncfs(&folder).expect("the file system can be synced");
    written_sectors(dir).map_or(f64::NAN, |sectors| sectors * SECTOR_BYTES)
}

fn written_sectors(dir: &Path) -> Option<f64> {
    let stat = fs::read_to_string(device_of(dir)?.join("stat")).ok()?;
    stat.split_whitespace().nth(6)?.parse().ok()
}

fn device_of(dir: &Path) -> Option<PathBuf> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Some(PathBuf::from(format!("/sys/dev/block/{major}:{minor}")))
}

/// The resident memory of this process, in MB of 2^20 bytes.
pub fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    let kilobytes = line.split_whitespace().nth(1).expect("a number");
    kilobytes.parse::<f64>().expect("kB") / 1024.0
}

/// What a folder takes on disk, in bytes.
pub fn folder_bytes(dir: &Path) -> f64 {
    let entries = fs::read_dir(dir).expect("the folder").filter_map(Result::ok);
    let sizes = entries.filter_map(|entry| {
        // A file may be removed while it is looked at.
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() {
            folder_bytes(&entry.path())
        } else {
            metadata.blocks() as f64 * SECTOR_BYTES
        })
    });
    sizes.sum()
}

/// What the figures hold for.
pub fn describe(dir: &Path, runs: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    let system = file_system(dir).unwrap_or_else(|| "an unknown file system".to_owned());
    let device = device_name(dir).unwrap_or_else(|| "no device of its own".to_owned());
    let journal = if has_journal(&device) { " with a journal" } else { "" };
    format!(
        "{}, {}, {cores} cores (load {load} at the start), {system} on {device}{journal}. \
         {PAYLOAD_BYTES} B payloads, medians of {runs}.",
        time::OffsetDateTime::now_utc().date(),
        std::env::consts::ARCH,
    )
}

fn device_name(dir: &Path) -> Option<String> {
    let device = fs::canonicalize(device_of(dir)?).ok()?;
    Some(device.file_name()?.to_string_lossy().into_owned())
}

fn file_system(dir: &Path) -> Option<String> {
    let dir = fs::canonicalize(dir).ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        dir.starts_with(point).then(|| (point.len(), kind.to_owned()))
    });
    above.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// Whether the device has one of ext4's journals; other file systems do not say.
fn has_journal(device: &str) -> bool {
    let prefix = format!("{device}-");
    fs::read_dir("/proc/fs/jbd2").is_ok_and(|journals| {
        let mut names = journals.filter_map(|journal| Some(journal.ok()?.file_name()));
        names.any(|name| name.to_string_lossy().starts_with(&prefix))
    })
}
