//! `holdfast check`

use super::{ConfigArgs, Exit};
use crate::config::{self, Problems};

pub(super) fn check(args: &ConfigArgs) -> Exit {
    let problems = match args.load() {
        Err(problems) => problems,
        Ok(loaded) => {
            let mut problems = config::check(&loaded.config);
            problems.extend(config::check_files(&loaded.config));
            if problems.is_empty() {
                for file in &loaded.files {
                    println!("{}: ok", file.display());
                }
                return Exit::Success;
            }
            Problems(problems).located(&args.config.display().to_string())
        }
    };
    eprintln!("{problems}");
    Exit::Config
}
