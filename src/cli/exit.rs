//! Exit codes.

use std::process::ExitCode;

/// The exit codes, for `--help`.
pub(super) const HELP: &str = "Exit codes: 0 success; 1 failure while running; 2 wrong usage, or no queue there; \
    3 a promise was not kept (ledger, demo) or damage was found (queue verify); 75 the data folder is in use by another gateway; \
    78 the configuration is wrong, or a key of the queue is missing.";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Success = 0,
    /// It failed while running; the last lines on standard error say why.
    Failure = 1,
    /// Wrong usage of the command line, as far as that is seen only when it is carried out: no
    /// such stream, no queue in the folder.
    Usage = 2,
    /// The ledger does not balance, the queue is damaged, or the demo saw a promise broken.
    PromiseBroken = 3,
    /// Another gateway has the data folder (`EX_TEMPFAIL`).
    InUse = 75,
    /// Somebody stopped the demo (as a shell reports SIGINT).
    Interrupted = 130,
    /// The configuration is wrong, or a key is missing (`EX_CONFIG`); the unit does not restart
    /// on it.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
