//! Which folder a verb works on.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::Args;
use rustix::process::geteuid;

use super::Stopped;
use crate::{
    cli::{ConfigArgs, Exit, terminal::tell},
    config::Stream,
    queue::{Folder, Keys, StreamOptions},
};

/// The queue's name within a gateway's data folder.
const QUEUE: &str = "queue";

/// Which queue: by its folder, or by the configuration of its gateway.
#[derive(Debug, Args)]
pub(in crate::cli) struct FolderArgs {
    /// The queue's folder itself (`queue` in the data folder), of a gateway or copied.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "sets"])]
    dir: Option<PathBuf>,
    /// The keys of an encrypted queue, where the configuration does not name them.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A queue's folder, and how its gateway keeps the streams, as far as that is known.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// `None` where only the folder was named.
    pub(super) streams: Option<Vec<StreamOptions>>,
    /// What it is encrypted with.
    pub(super) keys: Keys,
}

impl FolderArgs {
    /// The folder, whatever is in it.
    pub(super) fn place(&self) -> Result<Place, Stopped> {
        let given = self.key_file.as_deref().map(read_keys).transpose()?;
        if let Some(dir) = &self.dir {
            let keys = given.unwrap_or_default();
            return Ok(Place { dir: dir.clone(), streams: None, keys });
        }
        let loaded = self
            .config
            .load()
            .map_err(|problems| Stopped { exit: Exit::Config, why: problems.to_string() })?;
        let keys = match given {
            Some(keys) => keys,
            None => loaded
                .config
                .queue
                .keys()
                .map_err(|problem| Stopped { exit: Exit::Config, why: problem.to_string() })?,
        };
        let streams = loaded.config.streams().iter().map(Stream::queue_options).collect();
        Ok(Place { dir: loaded.config.queue_dir(), streams: Some(streams), keys })
    }

    /// The folder, in which there must be a queue.
    pub(in crate::cli) fn open(&self) -> Result<Folder, Stopped> {
        let place = self.place()?;
        open(&place.dir, place.keys)
    }
}

/// The keys in a file that was named on the command line.
pub(super) fn read_keys(file: &Path) -> Result<Keys, Stopped> {
    Keys::read(file)
        .map_err(|error| Stopped::usage(format!("{}: {error}; {}", file.display(), error.remedy())))
}

/// Refuses a folder that is not there or holds something else.
pub(super) fn open(dir: &Path, keys: Keys) -> Result<Folder, Stopped> {
    if fs::metadata(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Err(Stopped::usage(format!(
            "there is no queue in {}, nor a folder of that name: the gateway has not run yet, or \
             its data_dir is another",
            dir.display()
        )));
    }
    let folder = Folder::new(dir).with_keys(keys);
    if folder.holds_a_queue()? {
        return Ok(folder);
    }
    let within = dir.join(QUEUE);
    let hint = match Folder::new(&within).holds_a_queue() {
        Ok(true) => format!("; {} is one", within.display()),
        _ => String::new(),
    };
    Err(Stopped::usage(format!("{} is no queue's folder{hint}", dir.display())))
}

/// Refuses a place in which a queue would be made by mistake, or stand among other things.
pub(super) fn expect_room_for_a_queue(place: &Place) -> Result<(), Stopped> {
    let dir = &place.dir;
    if place.streams.is_none() {
        let mistaken = |Stopped { exit, why }: Stopped| {
            let hint = "a new queue is made only where a configuration says (-c FILE)";
            Stopped { exit, why: format!("{why}; {hint}") }
        };
        return open(dir, Keys::none()).map(drop).map_err(mistaken);
    }
    let is_empty = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(Stopped::at(dir)(error)),
    };
    if is_empty { Ok(()) } else { open(dir, Keys::none()).map(drop) }
}

/// Says what is left to do where root made files in the folder of a service's user, who could not
/// write to them.
pub(super) fn mention_the_owner(dir: &Path) {
    // The folder itself may have been made just now.
    let mut owners = dir.ancestors().take(2).filter_map(|dir| fs::metadata(dir).ok());
    let Some(owner) = owners.find(|owner| owner.uid() != 0) else { return };
    if !geteuid().is_root() {
        return;
    }
    tell(format_args!(
        "what was written belongs to root; before the gateway starts: chown -R {}:{} {}",
        owner.uid(),
        owner.gid(),
        dir.display()
    ));
}
