//! `holdfast check`

use std::path::PathBuf;

use super::{
    ConfigArgs, Exit,
    terminal::{printed, tell},
};
use crate::config::{self, Problems};

pub(super) fn check(args: &ConfigArgs) -> Exit {
    let problems = match args.load() {
        Err(problems) => problems,
        Ok(loaded) => {
            let mut problems = config::check(&loaded.config);
            problems.extend(config::check_files(&loaded.config));
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
