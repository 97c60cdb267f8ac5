//! `[uplink]` and the filters of `[commands]`

use std::time::SystemTime;

use crate::{
    config::{Config, Problem},
    uplink::{self, tls},
};

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let Some(settings) = &config.uplink else { return };
    problems.extend(uplink::check(settings, &config.gateway.id, &config.commands));
}

pub(super) fn check_files(config: &Config, problems: &mut Vec<Problem>) {
    let Some(uplink) = &config.uplink else { return };
    let [ca, cert, key] = [&uplink.ca, &uplink.cert, &uplink.key].map(|path| path.as_deref());
    problems.extend(tls::inspect(ca, cert, key, Some(SystemTime::now())));
}
