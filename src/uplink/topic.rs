//! Templates of topics and filters: text with `{gateway}`, `{topic}` and `{stream}`.
//!
//! `{{` and `}}` stand for the braces themselves. A template is parsed once, when the
//! configuration is read, and cannot fail afterwards.

use thiserror::Error;

/// What may stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The gateway's id.
    Gateway,
    /// The local topic of the message.
    Topic,
    /// The name of the stream.
    Stream,
}

/// All placeholders.
pub const PLACEHOLDERS: &[Placeholder] =
    &[Placeholder::Gateway, Placeholder::Topic, Placeholder::Stream];

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// Something unknown in braces, or something that has no meaning at this place.
    #[error("{{{found}}} means nothing here; use {known}, or {{{{ and }}}} for braces")]
    UnknownPlaceholder {
        /// What stands in the braces.
        found: String,
        /// What may stand there.
        known: String,
    },
    /// A brace without its partner.
    #[error("a brace without its partner at byte {at}; write {{{{ or }}}} for a brace")]
    UnbalancedBrace {
        /// Where.
        at: usize,
    },
    /// A wildcard or a NUL where a topic name is wanted, or nothing at all.
    #[error("not a topic to publish to: it must not be empty nor contain '+', '#' or NUL")]
    NotATopic,
    /// Wildcards in the wrong places.
    #[error("not an MQTT filter: '+' and '#' must fill a level, and '#' only the last")]
    NotAFilter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Placeholder(Placeholder),
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// The gateway's id.
    pub gateway: &'a str,
    /// The local topic of the message.
    pub topic: &'a str,
    /// The name of the stream.
    pub stream: &'a str,
}

impl Placeholder {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Topic => "topic",
            Self::Stream => "stream",
        }
    }
}

impl Template {
    /// A template for a topic to publish to, as in `to` of a route.
    pub fn topic(text: &str) -> Result<Self, TemplateError> {
        let template = Self::parse(text, PLACEHOLDERS)?;
        let wildcard =
            |part: &Part| matches!(part, Part::Literal(text) if text.contains(['+', '#', '\0']));
        if template.parts.is_empty() || template.parts.iter().any(wildcard) {
            return Err(TemplateError::NotATopic);
        }
        Ok(template)
    }

    /// A template for a filter of the gateway's own, in which only `{gateway}` has a meaning.
    pub fn filter(text: &str) -> Result<Self, TemplateError> {
        let template = Self::parse(text, &[Placeholder::Gateway])?;
        let sample = template.expand(&Values { gateway: "g", ..Values::default() });
        if is_filter(&sample) { Ok(template) } else { Err(TemplateError::NotAFilter) }
    }

    /// Parses a text in which these placeholders have a meaning.
    pub fn parse(text: &str, known: &[Placeholder]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..];
            if let Some(after) = brace.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else {
                let unbalanced = TemplateError::UnbalancedBrace { at: text.len() - brace.len() };
                let inner = brace.strip_prefix('{').ok_or_else(|| unbalanced.clone())?;
                let (name, after) = inner.split_once('}').ok_or(unbalanced)?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Placeholder(placeholder(name, known)?));
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The text with every placeholder replaced.
    pub fn expand(&self, values: &Values<'_>) -> String {
        let text = |part: &'_ Part| match part {
            Part::Literal(text) => text.len(),
            Part::Placeholder(placeholder) => values.of(*placeholder).len(),
        };
        let mut expanded = String::with_capacity(self.parts.iter().map(text).sum());
        for part in &self.parts {
            match part {
                Part::Literal(text) => expanded.push_str(text),
                Part::Placeholder(placeholder) => expanded.push_str(values.of(*placeholder)),
            }
        }
        expanded
    }
}

impl<'a> Values<'a> {
    fn of(&self, placeholder: Placeholder) -> &'a str {
        match placeholder {
            Placeholder::Gateway => self.gateway,
            Placeholder::Topic => self.topic,
            Placeholder::Stream => self.stream,
        }
    }
}

fn placeholder(name: &str, known: &[Placeholder]) -> Result<Placeholder, TemplateError> {
    known.iter().copied().find(|placeholder| placeholder.name() == name).ok_or_else(|| {
        let known: Vec<String> =
            known.iter().map(|known| format!("{{{}}}", known.name())).collect();
        TemplateError::UnknownPlaceholder { found: name.to_owned(), known: known.join(", ") }
    })
}

/// Whether the text is an MQTT topic filter (specification 4.7).
fn is_filter(text: &str) -> bool {
    let mut levels = text.split('/').peekable();
    let mut legal = !text.is_empty() && !text.contains('\0') && u16::try_from(text.len()).is_ok();
    while let Some(level) = levels.next() {
        legal &= match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            other => !other.contains(['+', '#']),
        };
    }
    legal
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values { gateway: "gw-1", topic: "sensors/t", stream: "telemetry" };

    #[test]
    fn every_placeholder_is_replaced_wherever_it_stands() {
        for (template, expanded) in [
            ("{gateway}/{topic}", "gw-1/sensors/t"),
            (
                "$aws/rules/store/{stream}/{topic}/{gateway}",
                "$aws/rules/store/telemetry/sensors/t/gw-1",
            ),
            ("{topic}{topic}", "sensors/tsensors/t"),
            ("fixed", "fixed"),
            ("a{{gateway}}b/{gateway}", "a{gateway}b/gw-1"),
        ] {
            assert_eq!(Template::topic(template).unwrap().expand(&VALUES), expanded);
        }
    }

    #[test]
    fn an_unknown_placeholder_is_an_error_that_names_the_known_ones() {
        let error = Template::topic("{gateway}/{device}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "{device} means nothing here; use {gateway}, {topic}, {stream}, or {{ and }} for braces"
        );
        assert!(Template::filter("{topic}/#").is_err(), "a filter has no message");
    }

    #[test]
    fn a_brace_without_its_partner_is_an_error_that_says_where() {
        for (text, at) in [("a/{gateway", 2), ("a}", 1), ("{{}", 2), ("{", 0)] {
            assert_eq!(Template::topic(text), Err(TemplateError::UnbalancedBrace { at }), "{text}");
        }
    }

    #[test]
    fn a_topic_has_no_wildcards_and_a_filter_has_them_in_their_places() {
        for text in ["", "a/+", "#", "a\0"] {
            assert_eq!(Template::topic(text), Err(TemplateError::NotATopic), "{text:?}");
        }
        for text in ["", "a/#/b", "a+", "a/b#", "{gateway}+/x"] {
            assert_eq!(Template::filter(text), Err(TemplateError::NotAFilter), "{text:?}");
        }
        for text in ["#", "+", "{gateway}/commands/#", "a/+/{gateway}/+", "/"] {
            assert!(Template::filter(text).is_ok(), "{text}");
        }
    }
}
