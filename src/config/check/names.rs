//! `[gateway]`, `[log]` and `[[user]]`.

use std::{collections::HashSet, path::Path};

use argon2::password_hash::PasswordHash;

use super::require;
use crate::config::{Config, Problem};

/// A gateway's id is a client id and one level of many topics.
const ID_BYTES_MAX: usize = 64;

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let id = &config.gateway.id;
    require(
        problems,
        (1..=ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b)),
        "gateway.id",
        format!("{id:?} cannot be used as client id and topic level"),
        format!("use 1 to {ID_BYTES_MAX} letters, digits, '.', '_', '-' or ':'"),
    );
    let dir = &config.gateway.data_dir;
    require(
        problems,
        nearest_existing(dir).is_some_and(Path::is_dir),
        "gateway.data_dir",
        format!("{} is no folder and cannot become one", dir.display()),
        "name a folder, or one that can be created",
    );
    require(
        problems,
        tracing_subscriber::EnvFilter::try_new(&config.log.level).is_ok(),
        "log.level",
        format!("{:?} is no log filter", config.log.level),
        "use error, warn, info, debug or trace",
    );
    users(config, problems);
}

fn users(config: &Config, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    for (i, user) in config.user.iter().enumerate() {
        require(
            problems,
            !user.name.is_empty() && seen.insert(&user.name),
            format!("user[{i}].name"),
            format!("{:?} is empty or there twice", user.name),
            "give each user a name of its own",
        );
        require(
            problems,
            PasswordHash::new(&user.password_hash)
                .is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2")),
            format!("user[{i}].password_hash"),
            "this is no argon2 hash in PHC form",
            "make one with `holdfast passwd`",
        );
    }
}

fn nearest_existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|p| p.exists()).or_else(|| path.is_relative().then_some(Path::new(".")))
}
