//! `[uplink]` and the filters of `[commands]`

use std::time::SystemTime;

use crate::{
    config::{Config, Problem},
    uplink::{Settings, tls},
};

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let Some(uplink) = &config.uplink else { return };
    if let Err(error) = Settings::new(uplink, &config.gateway.id, &config.commands) {
        problems.extend(error.problems);
    }
}

pub(super) fn check_files(config: &Config, problems: &mut Vec<Problem>) {
    let Some(uplink) = &config.uplink else { return };
    let [ca, cert, key] = [&uplink.ca, &uplink.cert, &uplink.key].map(|path| path.as_deref());
    problems.extend(tls::inspect(ca, cert, key, SystemTime::now()));
}
