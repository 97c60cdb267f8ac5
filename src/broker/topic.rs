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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_name_has_neither_wildcards_nor_endless_length_or_depth() {
        for good in ["a", "/", "a//b", "$SYS/x", "ä/€", " "] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_name("a/+").unwrap_err().clause, "MQTT-3.3.2-2");
        assert_eq!(check_name("a/b#").unwrap_err().clause, "MQTT-3.3.2-2");
        assert_eq!(check_name("").unwrap_err().clause, "MQTT-4.7.3-1");
        assert!(check_name(&"x".repeat(TOPIC_BYTES_MAX)).is_ok());
        assert!(check_name(&"x".repeat(TOPIC_BYTES_MAX + 1)).is_err());
        assert!(check_name(&"/".repeat(LEVELS_MAX - 1)).is_ok());
        assert!(check_name(&"/".repeat(LEVELS_MAX)).is_err());
    }

    #[test]
    fn a_filter_has_wildcards_only_as_whole_levels_and_hash_only_at_the_end() {
        for good in ["#", "+", "a/+/b/#", "/+", "+/+", "$share/g/a/#", "$share/g/+", "$shared", "/"]
        {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for (bad, clause) in [
            ("", "MQTT-4.7.3-1"),
            ("a/#/b", "MQTT-4.7.1-2"),
            ("a#", "MQTT-4.7.1-2"),
            ("##", "MQTT-4.7.1-2"),
            ("a+", "MQTT-4.7.1-3"),
            ("++/a", "MQTT-4.7.1-3"),
            ("$share/g", "MQTT-4.8.2-1"),
            ("$share//a", "MQTT-4.8.2-2"),
            ("$share/g+/a", "MQTT-4.8.2-2"),
            ("$share/g/", "MQTT-4.7.3-1"),
            ("$share/g/a/#/b", "MQTT-4.7.1-2"),
        ] {
            assert_eq!(check_filter(bad).unwrap_err().clause, clause, "{bad}");
        }
    }

    #[test]
    fn the_specifications_own_examples_match_as_it_says() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/a", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/a", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("a", "A", false),
            ("a", "a/", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn what_matches_a_filter_begins_with_its_literal_prefix() {
        for (filter, prefix) in [
            ("a/b", "a/b"),
            ("a/#", "a"),
            ("a/+/c", "a"),
            ("#", ""),
            ("+/a", ""),
            ("ab/c+", "ab/c"),
        ] {
            assert_eq!(literal_prefix(filter), prefix, "{filter}");
        }
    }
}
