//! `[queue]` and `[telemetry]`

use std::time::Duration;

use super::require;
use crate::config::{Config, Problem};

/// Devices that wait longer for a PUBACK send again, and a stop has to end within its deadline.
const COMMIT_INTERVAL_MAX: Duration = Duration::from_secs(2);

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let interval = config.queue.commit_interval;
    require(
        problems,
        interval <= COMMIT_INTERVAL_MAX,
        "queue.commit_interval",
        format!("every PUBACK would wait for up to {} s", interval.as_secs_f64()),
        format!("use {} s or less", COMMIT_INTERVAL_MAX.as_secs()),
    );
    let Some(bind) = config.telemetry.metrics_bind else { return };
    let same_address = |listener: std::net::SocketAddr| {
        listener.ip() == bind.ip() || listener.ip().is_unspecified() || bind.ip().is_unspecified()
    };
    let taken = config.listener.iter().map(|listener| listener.bind).find(|listener| {
        bind.port() != 0 && listener.port() == bind.port() && same_address(*listener)
    });
    require(
        problems,
        taken.is_none(),
        "telemetry.metrics_bind",
        format!("{bind} is taken by a listener"),
        "use another port, such as 9464",
    );
}
