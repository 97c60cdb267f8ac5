//! `[[stream]]` and `[limits]`

use std::collections::HashSet;

use super::require;
use crate::config::{Config, Problem};

const NAME_BYTES_MAX: usize = 32;
const PRIORITY_MAX: u8 = 9;
/// Less than a few segments would evict in lumps of half the stream.
const BYTES_MIN: u64 = 16 * 1024 * 1024;

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    for (i, stream) in config.stream.iter().enumerate() {
        let key = |name| format!("stream[{i}].{name}");
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        require(
            problems,
            (1..=NAME_BYTES_MAX).contains(&stream.name.len()) && stream.name.bytes().all(legal),
            key("name"),
            format!("{:?} cannot name a folder of the queue", stream.name),
            format!("use 1 to {NAME_BYTES_MAX} of a-z, 0-9, '_' and '-'"),
        );
        require(
            problems,
            seen.insert(&stream.name),
            key("name"),
            format!("{:?} is there twice", stream.name),
            "describe each stream once",
        );
        require(
            problems,
            stream.priority <= PRIORITY_MAX,
            key("priority"),
            format!("{} is no priority", stream.priority),
            format!("use 0 to {PRIORITY_MAX}; higher is served first"),
        );
        require(
            problems,
            stream.bytes_max >= BYTES_MIN,
            key("bytes_max"),
            format!("{} bytes are too few for a log of segments", stream.bytes_max),
            format!("use {BYTES_MIN} (16 MiB) or more"),
        );
        require(
            problems,
            !stream.age_max.is_zero(),
            key("age_max"),
            "nothing would ever be sent",
            "use a time such as 3d",
        );
    }
    limits(config, problems);
}

fn limits(config: &Config, problems: &mut Vec<Problem>) {
    let limits = &config.limits;
    let positive: [(&str, usize); 9] = [
        ("connections_max", limits.connections_max),
        ("sessions_max", limits.sessions_max),
        ("packet_bytes_max", limits.packet_bytes_max),
        ("inflight_max", limits.inflight_max.into()),
        ("outbox_messages_max", limits.outbox_messages_max),
        ("outbox_bytes_max", limits.outbox_bytes_max),
        ("subscriptions_max", limits.subscriptions_max),
        ("connect_timeout", limits.connect_timeout.as_millis() as usize),
        ("commands.pending_max", config.commands.pending_max),
    ];
    for (name, value) in positive {
        let key = if name.contains('.') { name.to_owned() } else { format!("limits.{name}") };
        require(problems, value > 0, key, "nothing would work with 0", "use 1 or more");
    }
}
