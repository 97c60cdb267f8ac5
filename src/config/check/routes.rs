//! `[[route]]` and `[commands]`

use super::require;
use crate::{
    broker::topic,
    config::{
        Config, Problem,
        stream::{EVENTS, TELEMETRY},
    },
    uplink::topic::Template,
};

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    for (i, route) in config.route.iter().enumerate() {
        filter(problems, format!("route[{i}].from"), &route.from);
        template(problems, format!("route[{i}].to"), &route.to);
        let known = [TELEMETRY, EVENTS].contains(&route.stream.as_str())
            || config.stream.iter().any(|stream| stream.name == route.stream);
        require(
            problems,
            known,
            format!("route[{i}].stream"),
            format!("there is no stream {:?}", route.stream),
            format!("use {TELEMETRY:?}, or add a [[stream]] of this name"),
        );
    }
    let outcome = config.commands.outcome.replace("{gateway}", &config.gateway.id);
    require(
        problems,
        topic::is_name(&outcome) && !outcome.starts_with('$'),
        "commands.outcome",
        format!("{outcome:?} is no topic to publish on"),
        "use a topic without wildcards that does not begin with '$'",
    );
}

fn filter(problems: &mut Vec<Problem>, key: String, text: &str) {
    require(
        problems,
        topic::is_filter(text) && !text.starts_with("$share/"),
        key,
        format!("{text:?} is no MQTT topic filter"),
        "use levels with '+' for one of them and '#' at the end: sensors/+/temperature, sensors/#",
    );
}

fn template(problems: &mut Vec<Problem>, key: String, text: &str) {
    if let Err(error) = Template::topic(text) {
        problems.push(Problem::new(
            key,
            error.to_string(),
            "use {gateway}, {topic} and {stream} in an otherwise plain topic",
        ));
    }
}
