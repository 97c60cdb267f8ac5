//! `[queue]`

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::Problem;
use crate::queue::Keys;

/// The name of the systemd credential that holds the keys where no `key_file` is configured.
const CREDENTIAL: &str = "queue-keys";

/// How the queue is kept on disk.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// The keys by which messages are encrypted on disk; without any they are not.
    pub key_file: Option<PathBuf>,
    /// The longest that a message waits for others, so that all are synced together: fewer writes
    /// to flash for a later PUBACK. Zero commits as soon as the disk is free.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
}

impl Queue {
    /// The file of the keys: the configured one, or the credential that systemd passes on in the
    /// folder `credentials` (its `CREDENTIALS_DIRECTORY`). A credential of which it cannot be told
    /// whether it is there counts as there, so that reading it fails and says why: without keys
    /// the queue would be written unencrypted.
    pub fn key_file(&self, credentials: Option<&Path>) -> Option<PathBuf> {
        let credential = || {
            let file = credentials?.join(CREDENTIAL);
            file.try_exists().unwrap_or(true).then_some(file)
        };
        self.key_file.clone().or_else(credential)
    }

    /// The keys; none where the queue is not encrypted.
    pub fn keys(&self) -> Result<Keys, Problem> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let Some(file) = self.key_file(credentials.as_deref()) else { return Ok(Keys::none()) };
        Keys::read(&file).map_err(|error| {
            let message = format!("{}: {error}", file.display());
            Problem::new("queue.key_file", message, error.remedy())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_file_goes_before_the_credential_which_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::default();
        assert_eq!(queue.key_file(None), None);
        assert_eq!(queue.key_file(Some(dir.path())), None);
        std::fs::write(dir.path().join(CREDENTIAL), "").unwrap();
        assert_eq!(queue.key_file(Some(dir.path())), Some(dir.path().join(CREDENTIAL)));
        queue.key_file = Some("keys".into());
        assert_eq!(queue.key_file(Some(dir.path())), Some("keys".into()));
    }

    #[test]
    fn a_credential_out_of_reach_is_a_problem_and_not_the_absence_of_keys() {
        let dir = tempfile::tempdir().unwrap();
        // Not a folder, so that the question is refused; for root, too, whom no mode keeps out.
        let credentials = dir.path().join("credentials");
        std::fs::write(&credentials, "").unwrap();
        let file = Queue::default().key_file(Some(&credentials));
        assert_eq!(file, Some(credentials.join(CREDENTIAL)));
    }

    #[test]
    fn a_wrong_key_file_is_a_problem_that_names_it() {
        let queue = Queue { key_file: Some("/nonexistent/keys".into()), ..Queue::default() };
        let problem = queue.keys().unwrap_err();
        assert_eq!(problem.key, "queue.key_file");
        assert!(problem.to_string().contains("/nonexistent/keys"), "{problem}");
    }
}
