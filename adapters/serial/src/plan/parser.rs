//! The plan of the parser.

use regex::RegexBuilder;

use super::findings::Findings;
use crate::{
    config::{Parser, ParserKind},
    decode::Format,
};

/// The most memory a compiled expression may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The format for a configuration.
pub(super) fn format(config: &Parser, findings: &mut Findings<'_>) -> Option<Format> {
    if config.kind != ParserKind::Regex {
        findings.pointless(config.pattern.is_some(), "pattern", "kind = \"regex\"");
    }
    if config.kind != ParserKind::Csv {
        findings.pointless(config.separator.is_some(), "separator", "kind = \"csv\"");
        findings.pointless(config.columns.is_some(), "columns", "kind = \"csv\"");
    }
    Some(match config.kind {
        ParserKind::Nmea => Format::Nmea,
        ParserKind::Json => Format::Json,
        ParserKind::Binary => Format::Binary,
        ParserKind::Raw => Format::Raw,
        ParserKind::Regex => regex(config, findings)?,
        ParserKind::Csv => csv(config, findings)?,
    })
}

fn regex(config: &Parser, findings: &mut Findings<'_>) -> Option<Format> {
    let remedy = "give an expression with a named group per value: '^T:(?<t>[-0-9.]+)$'";
    let pattern = findings.needed(config.pattern.as_ref(), "pattern", remedy)?;
    match RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build() {
        Ok(regex) => Some(Format::Regex(regex)),
        Err(error) => {
            let message = error.to_string();
            let reason = message.lines().last().unwrap_or_default().trim().to_owned();
            findings.add("pattern", format!("is no regular expression: {reason}"), remedy);
            None
        }
    }
}

fn csv(config: &Parser, findings: &mut Findings<'_>) -> Option<Format> {
    let columns = config.columns;
    findings.demand(columns != Some(0), "columns", "is zero", "count the columns of a whole line");
    let mut separator = config.separator.as_deref().unwrap_or(",").chars();
    match (separator.next(), separator.next()) {
        (Some(separator), None) if separator != '"' => Some(Format::Csv { separator, columns }),
        _ => {
            findings.add("separator", "is no separator", "give one character, not a quote");
            None
        }
    }
}
