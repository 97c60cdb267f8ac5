//! Whether a well-formed configuration makes sense, all problems at once and without starting
//! anything: ports, certificates, routes, maps.

mod adapters;
mod listeners;
mod names;
mod routes;
mod streams;
mod telemetry;
mod uplink;

use super::{Config, Problem};

/// Everything in the configuration itself that would keep the gateway from working.
pub fn check(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    names::check(config, &mut problems);
    listeners::check(config, &mut problems);
    streams::check(config, &mut problems);
    telemetry::check(config, &mut problems);
    routes::check(config, &mut problems);
    uplink::check(config, &mut problems);
    adapters::check(config, &mut problems);
    problems
}

/// What is wrong at this moment with the files of certificates and keys. Certificates keep no
/// gateway from starting: the local side outlives the uplink's certificate, and a file may be
/// renewed at any time.
pub fn check_files(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    listeners::check_files(config, &mut problems);
    uplink::check_files(config, &mut problems);
    problems.extend(config.queue.keys().err());
    problems
}

/// A problem unless `good`.
fn require(
    problems: &mut Vec<Problem>,
    good: bool,
    key: impl Into<String>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) {
    if !good {
        problems.push(Problem::new(key, message, remedy));
    }
}

#[cfg(test)]
mod tests;
