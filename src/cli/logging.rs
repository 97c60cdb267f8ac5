//! Logging to standard error, where systemd's journal collects it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging at this level. A filter that cannot be parsed was already found by `check`.
pub(super) fn start(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        // It would be reported on the very output that cannot be written, with a panic.
        .log_internal_errors(false);
    // Fails only where a subscriber is installed already, and then that one serves.
    drop(subscriber.try_init());
}
