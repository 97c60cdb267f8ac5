//! `holdfast check`

use std::path::PathBuf;

use super::{
    ConfigArgs, Exit,
    terminal::{printed, tell},
};
use crate::{
    config::{self, Config, Problem, Problems},
    queue::{Folder, InspectError},
};

pub(super) fn check(args: &ConfigArgs) -> Exit {
    let problems = match args.load() {
        Err(problems) => problems,
        Ok(loaded) => {
            let mut problems = config::check(&loaded.config);
            problems.extend(config::check_files(&loaded.config));
            problems.extend(missing_key(&loaded.config));
            if problems.is_empty() {
                let line = |file: &PathBuf| format!("{}: ok\n", file.display());
                let lines: String = loaded.files.iter().map(line).collect();
                return printed("check", &lines, Exit::Success);
            }
            Problems(problems).located(&args.config.display().to_string())
        }
    };
    tell(problems);
    Exit::Config
}

/// A key that what is queued still needs and that the configured file lacks. What else may be
/// wrong with the queue is no matter of the configuration; a credential is not in reach here.
fn missing_key(config: &Config) -> Option<Problem> {
    config.queue.key_file.as_ref()?;
    // Without them there is a problem already.
    let keys = config.queue.keys().ok()?;
    match Folder::new(&config.queue_dir()).with_keys(keys).overview() {
        Err(InspectError::KeyMissing { source, .. }) => {
            let remedy = "the gateway would not start; keep the old key in the file, behind the \
                          new one, until no segment needs it any more";
            Some(Problem::new("queue.key_file", source.to_string(), remedy))
        }
        _ => None,
    }
}
