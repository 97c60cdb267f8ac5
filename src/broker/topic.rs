//! Topic names and filters (section 4.7): what is allowed, and what matches.

use super::codec::{Malformed, Reason};

/// The longest topic or filter taken, in bytes.
pub(super) const TOPIC_BYTES_MAX: usize = 1_024;
/// The most levels of a topic or filter; it bounds the depth of the index.
pub(super) const LEVELS_MAX: usize = 128;

const SHARE: &str = "$share/";

const fn name_error(what: &'static str, clause: &'static str) -> Malformed {
    Malformed::protocol(what, clause).because(Reason::TOPIC_NAME_INVALID)
}

const fn filter_error(what: &'static str, clause: &'static str) -> Malformed {
    Malformed::protocol(what, clause).because(Reason::TOPIC_FILTER_INVALID)
}

/// Whether this is a topic name that may be published to.
pub(crate) fn is_name(text: &str) -> bool {
    check_name(text).is_ok()
}

/// Whether this is a topic filter that may be subscribed to, `$share/group/` included.
pub(crate) fn is_filter(text: &str) -> bool {
    check_filter(text).is_ok()
}

/// Whether a message may be published under this name.
pub(super) fn check_name(name: &str) -> Result<(), Malformed> {
    if name.is_empty() {
        return Err(name_error("an empty topic", "MQTT-4.7.3-1"));
    }
    if name.len() > TOPIC_BYTES_MAX {
        return Err(name_error("a topic of more than 1024 bytes", "a limit of this broker"));
    }
    let mut levels = 1;
    for byte in name.bytes() {
        match byte {
            b'+' | b'#' => return Err(name_error("a topic with wildcards", "MQTT-3.3.2-2")),
            b'/' => levels += 1,
            _ => {}
        }
    }
    if levels > LEVELS_MAX {
        return Err(name_error("a topic of more than 128 levels", "a limit of this broker"));
    }
    Ok(())
}

/// Whether a filter is well formed, also inside `$share/group/`.
pub(super) fn check_filter(path: &str) -> Result<(), Malformed> {
    let filter = match path.strip_prefix(SHARE) {
        Some(rest) => {
            let (group, filter) = rest
                .split_once('/')
                .ok_or(filter_error("a shared subscription without a filter", "MQTT-4.8.2-1"))?;
            if group.is_empty() || group.contains(['+', '#']) {
                return Err(filter_error("a share name that is not one", "MQTT-4.8.2-2"));
            }
            filter
        }
        None => path,
    };
    if filter.is_empty() {
        return Err(filter_error("an empty filter", "MQTT-4.7.3-1"));
    }
    if path.len() > TOPIC_BYTES_MAX {
        return Err(filter_error("a filter of more than 1024 bytes", "a limit of this broker"));
    }
    let mut levels = 0;
    let mut rest = filter.split('/').peekable();
    while let Some(level) = rest.next() {
        levels += 1;
        if level.contains('#') && (level != "#" || rest.peek().is_some()) {
            return Err(filter_error("a # that is not the last level", "MQTT-4.7.1-2"));
        }
        if level.contains('+') && level != "+" {
            return Err(filter_error("a + that is not a whole level", "MQTT-4.7.1-3"));
        }
    }
    if levels > LEVELS_MAX {
        return Err(filter_error("a filter of more than 128 levels", "a limit of this broker"));
    }
    Ok(())
}

/// The group and the filter proper of `$share/group/filter`; no group for any other filter.
pub(super) fn split_share(path: &str) -> (Option<&str>, &str) {
    match path.strip_prefix(SHARE).and_then(|rest| rest.split_once('/')) {
        Some((group, filter)) => (Some(group), filter),
        None => (None, path),
    }
}

/// Whether a well-formed filter (without `$share`) matches a topic.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    // [MQTT-4.7.2-1]: wildcards at the first level leave topics of the server alone.
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Everything before the first wildcard of a filter: what each matching topic begins with,
/// but for `a/#`, which matches `a` too; so without a trailing separator.
pub(super) fn literal_prefix(filter: &str) -> &str {
    match filter.find(['+', '#']) {
        Some(at) => filter[..at].trim_end_matches('/'),
        None => filter,
    }
}
