//! The plan of the points.

use std::collections::HashSet;

use holdfast_adapter_api::Value;

use super::{findings::Findings, line::bytes};
use crate::{
    config::{Config, ParserKind, PointConfig, PointType, Require},
    decode::{Condition, Conversion, Format, Reader, Source},
    write::Writer,
};

/// More points than this make no sensible message.
const POINTS_MAX: usize = 512;
const PLACEHOLDER: &str = "{value}";

/// How the points are read and how they are written.
pub(super) fn points(
    config: &Config,
    format: Option<&Format>,
    findings: &mut Findings<'_>,
) -> (Vec<Reader>, Vec<Writer>) {
    let remedy = "add a [[serial.point]] with a name and where its value stands";
    findings.demand(!config.point.is_empty(), "point", "there is none", remedy);
    let few = config.point.len() <= POINTS_MAX;
    findings.demand(few, "point", "there are too many", "use at most 512 per line");
    let mut names = HashSet::new();
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for (number, point) in config.point.iter().enumerate() {
        let mut findings = findings.under(&format!("point[{number}]"));
        findings.demand(!point.name.is_empty(), "name", "is empty", "give the point a name");
        let first = names.insert(point.name.as_str());
        findings.demand(first, "name", "is used by another point", "give each its own");
        let conversion = conversion(point, config.parser.kind, &mut findings);
        writers.extend(writer(point, &conversion, &mut findings));
        let source = source(point, config, format, &mut findings);
        let condition = condition(point, config, format, &mut findings);
        let (name, unit) = (point.name.clone(), point.unit.clone());
        readers.push(Reader { name, unit, source, conversion, condition });
    }
    (readers, writers)
}

fn conversion(point: &PointConfig, parser: ParserKind, findings: &mut Findings<'_>) -> Conversion {
    let PointConfig { kind, scale, offset, min, max, .. } = *point;
    let scales = scale.is_finite() && scale != 0.0;
    findings.demand(scales, "scale", "is no factor", "use a number other than 0");
    findings.demand(offset.is_finite(), "offset", "is no number", "use a finite number");
    let ordered = min.zip(max).is_none_or(|(min, max)| min <= max);
    findings.demand(ordered, "min", "is above max", "exchange them");
    let is_number = matches!(kind, PointType::Float | PointType::Int | PointType::Uint);
    if !is_number {
        let plain = scale == 1.0 && offset == 0.0 && min.is_none() && max.is_none();
        let remedy = "remove scale, offset, min and max, or use a type of number";
        findings.demand(plain, "type", "takes no scale, offset, min or max", remedy);
    }
    if matches!(kind, PointType::Latitude | PointType::Longitude) {
        let remedy = "use the parser nmea with a field";
        let nmea = parser == ParserKind::Nmea && point.field.is_some();
        findings.demand(nmea, "type", "is found in fields of NMEA sentences only", remedy);
    }
    for (number, invalid) in point.invalid.iter().enumerate() {
        let sensible = !matches!(invalid, Value::Bool(_));
        let key = format!("invalid[{number}]");
        findings.demand(
            sensible,
            &key,
            "is neither text nor number",
            "write what the device sends",
        );
    }
    Conversion { kind, scale, offset, invalid: point.invalid.clone(), min, max }
}

/// Where a point is read; `None` also for one that is only written.
fn source(
    point: &PointConfig,
    config: &Config,
    format: Option<&Format>,
    findings: &mut Findings<'_>,
) -> Option<Source> {
    let parser = config.parser.kind;
    refuse_pointless(point, parser, findings);
    let write_only = point.write.is_some() && !has_source(point);
    match parser {
        _ if write_only => None,
        ParserKind::Nmea => nmea(point, findings),
        ParserKind::Csv => {
            let remedy = "give the column in which it stands, from 1";
            let column = findings.needed(point.column, "column", remedy);
            check_column(column, format, findings);
            column.map(Source::Column)
        }
        ParserKind::Regex => {
            let name = point.group.as_ref().unwrap_or(&point.name);
            check_group(name, format, findings);
            Some(Source::Group(name.clone()))
        }
        ParserKind::Json => {
            let path = point.path.clone().unwrap_or_else(|| format!("/{}", point.name));
            check_path(&path, findings);
            Some(Source::Path(path))
        }
        ParserKind::Binary => binary(point, findings),
        ParserKind::Raw => {
            let remedy = "use one point with type = \"text\" or a number";
            findings.demand(config.point.len() == 1, "name", "is one point too many", remedy);
            Some(Source::Whole)
        }
    }
}

/// Whether it says where the point is read.
fn has_source(point: &PointConfig) -> bool {
    point.sentence.is_some()
        || point.column.is_some()
        || point.group.is_some()
        || point.path.is_some()
        || point.byte.is_some()
}

fn nmea(point: &PointConfig, findings: &mut Findings<'_>) -> Option<Source> {
    let remedy = "name the sentence, such as WIMWV, or MWV for any talker";
    let sentence = findings.needed(point.sentence.clone(), "sentence", remedy)?;
    match (point.field, &point.transducer) {
        (Some(number), None) => {
            findings.demand(number > 0, "field", "is zero", "count from 1 after the name");
            Some(Source::Field { sentence, number })
        }
        (None, Some(transducer)) => {
            let parts = transducer.split_once(':');
            let (kind, id) = findings.needed(parts, "transducer", "write type and id as C:0")?;
            Some(Source::Transducer { sentence, kind: kind.to_owned(), id: id.to_owned() })
        }
        _ => {
            let remedy = "give either field or transducer";
            findings.add("field", "says not where in the sentence the value stands", remedy);
            None
        }
    }
}

fn binary(point: &PointConfig, findings: &mut Findings<'_>) -> Option<Source> {
    let at = findings.needed(point.byte, "byte", "give the first byte, from 0");
    let width = findings.needed(point.width, "width", "give the number of bytes");
    let (at, width) = (at?, width?);
    let fits = match point.kind {
        PointType::Float => matches!(width, 4 | 8),
        PointType::Int | PointType::Uint | PointType::Bool => matches!(width, 1 | 2 | 4 | 8),
        PointType::Text | PointType::Latitude | PointType::Longitude => false,
    };
    let remedy = "use int, uint or bool with 1, 2, 4 or 8 bytes, or float with 4 or 8";
    findings.demand(fits, "width", "does not go with this type", remedy);
    Some(Source::Bytes { at, width, order: point.order })
}

fn check_column(column: Option<usize>, format: Option<&Format>, findings: &mut Findings<'_>) {
    findings.demand(column != Some(0), "column", "is zero", "count from 1");
    if let (Some(column), Some(Format::Csv { columns: Some(columns), .. })) = (column, format) {
        let remedy = "correct it or parser.columns";
        findings.demand(column <= *columns, "column", "is beyond the last column", remedy);
    }
}

fn check_group(name: &str, format: Option<&Format>, findings: &mut Findings<'_>) {
    let Some(Format::Regex(regex)) = format else { return };
    let known: Vec<_> = regex.capture_names().flatten().collect();
    if !known.contains(&name) {
        let remedy = format!("use a group of parser.pattern: {}", known.join(", "));
        findings.add("group", format!("there is no group '{name}'"), remedy);
    }
}

fn check_path(path: &str, findings: &mut Findings<'_>) {
    let legal = path.starts_with('/');
    findings.demand(legal, "path", "is no JSON pointer", "start it with /, such as /wind/speed");
}

fn refuse_pointless(point: &PointConfig, parser: ParserKind, findings: &mut Findings<'_>) {
    if parser != ParserKind::Nmea {
        findings.pointless(point.sentence.is_some(), "sentence", "the parser nmea");
        findings.pointless(point.field.is_some(), "field", "the parser nmea");
        findings.pointless(point.transducer.is_some(), "transducer", "the parser nmea");
    }
    if parser != ParserKind::Csv {
        findings.pointless(point.column.is_some(), "column", "the parser csv");
    }
    if parser != ParserKind::Regex {
        findings.pointless(point.group.is_some(), "group", "the parser regex");
    }
    if parser != ParserKind::Json {
        findings.pointless(point.path.is_some(), "path", "the parser json");
    }
    if parser != ParserKind::Binary {
        findings.pointless(point.byte.is_some(), "byte", "the parser binary");
        findings.pointless(point.width.is_some(), "width", "the parser binary");
    }
}

fn condition(
    point: &PointConfig,
    config: &Config,
    format: Option<&Format>,
    findings: &mut Findings<'_>,
) -> Option<Condition> {
    let require = point.require.as_ref()?;
    let mut findings = findings.under("require");
    let some = !require.one_of.is_empty() || !require.none_of.is_empty();
    findings.demand(some, "one_of", "is missing", "give one_of or none_of");
    let source = required(point, require, config.parser.kind, format, &mut findings)?;
    Some(Condition { source, one_of: require.one_of.clone(), none_of: require.none_of.clone() })
}

fn required(
    point: &PointConfig,
    require: &Require,
    parser: ParserKind,
    format: Option<&Format>,
    findings: &mut Findings<'_>,
) -> Option<Source> {
    match parser {
        ParserKind::Nmea => {
            let number = findings.needed(require.field, "field", "give the field to look at")?;
            Some(Source::Field { sentence: point.sentence.clone()?, number })
        }
        ParserKind::Csv => {
            let column = findings.needed(require.column, "column", "give the column to look at");
            check_column(column, format, findings);
            column.map(Source::Column)
        }
        ParserKind::Regex => {
            let group = findings.needed(require.group.clone(), "group", "give the group");
            check_group(group.as_deref()?, format, findings);
            group.map(Source::Group)
        }
        ParserKind::Json => {
            let path = findings.needed(require.path.clone(), "path", "give the JSON pointer");
            check_path(path.as_deref()?, findings);
            path.map(Source::Path)
        }
        ParserKind::Binary | ParserKind::Raw => {
            findings.add("one_of", "has no meaning with this parser", "remove require");
            None
        }
    }
}

fn writer(
    point: &PointConfig,
    conversion: &Conversion,
    findings: &mut Findings<'_>,
) -> Option<Writer> {
    let Some(template) = &point.write else {
        findings.pointless(point.write_answer.is_some(), "write_answer", "write");
        return None;
    };
    if matches!(point.kind, PointType::Latitude | PointType::Longitude) {
        findings.add("write", "has no meaning with this type", "remove it");
    }
    let answer = match &point.write_answer {
        Some(answer) => {
            findings.demand(!answer.is_empty(), "write_answer", "is empty", "remove it");
            Some(bytes(answer, "write_answer", findings)?)
        }
        None => None,
    };
    match template.split_once(PLACEHOLDER) {
        Some((before, after)) if !after.contains(PLACEHOLDER) => Some(Writer {
            point: point.name.clone(),
            before: bytes(before, "write", findings)?,
            after: bytes(after, "write", findings)?,
            answer,
            conversion: conversion.clone(),
        }),
        _ => {
            let remedy = "write what goes to the device, such as \"SET {value}\\r\\n\"";
            findings.add("write", "does not hold {value} exactly once", remedy);
            None
        }
    }
}
