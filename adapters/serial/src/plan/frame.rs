//! The plan of the framing.

use std::time::Duration;

use super::{findings::Findings, line::bytes};
use crate::{
    config::{Frame, FrameKind},
    frame::{Framer, Length, Shape},
};

/// The silence that ends a frame of kind `idle_gap` if none is given.
pub(super) const GAP_USUAL: Duration = Duration::from_millis(50);
/// No gap can be told apart from the scheduling of a small computer below this.
const GAP_MIN: Duration = Duration::from_millis(5);
/// More than this is no frame of a sensor.
const FRAME_BYTES_MAX: usize = 65_536;

/// The framer for a configuration.
pub(super) fn framer(config: &Frame, findings: &mut Findings<'_>) -> Option<Framer> {
    let bounded = (1..=FRAME_BYTES_MAX).contains(&config.bytes_max);
    findings.demand(bounded, "bytes_max", "is out of range", "use 1 to 65536");
    let gap = config.gap.is_none_or(|gap| gap >= GAP_MIN);
    findings.demand(gap, "gap", "is too short", "use 5ms or more");
    refuse_pointless(config, findings);
    let shape = shape(config, findings)?;
    Some(Framer::new(shape, config.bytes_max, config.check))
}

fn shape(config: &Frame, findings: &mut Findings<'_>) -> Option<Shape> {
    Some(match config.kind {
        FrameKind::Line => Shape::Ended(vec![b"\r".to_vec(), b"\n".to_vec()]),
        FrameKind::IdleGap => Shape::Gap,
        FrameKind::Delimiter => {
            let remedy = "give the bytes that end a frame, such as \"\\r\\n\"";
            let start = mark(config.start.as_ref(), "start", findings);
            let end = findings.needed(config.end.as_ref(), "end", remedy);
            let end = mark(end, "end", findings)?;
            match start {
                None => Shape::Ended(vec![end]),
                Some(start) if start == end => {
                    let message = "is the same as start, which cannot tell inside from outside";
                    findings.add("end", message, "leave start away");
                    return None;
                }
                Some(start) => Shape::Delimited { start, end },
            }
        }
        FrameKind::Fixed => {
            let sync = sync(config, findings);
            let length = findings.needed(config.length, "length", "give the bytes per frame")?;
            let least = sync.len().max(1) + config.check.width();
            let fits = (least..=config.bytes_max).contains(&length);
            let remedy = "make it at least sync and check, at most bytes_max";
            findings.demand(fits, "length", "is out of range", remedy);
            Shape::Sized { sync, length: Length::Fixed(length) }
        }
        FrameKind::LengthPrefixed => {
            let sync = sync(config, findings);
            let remedy = "say where in the frame its length stands, from 0";
            let at = findings.needed(config.length_at, "length_at", remedy)?;
            let width = config.length_width;
            findings.demand(matches!(width, 1 | 2 | 4), "length_width", "is none", "use 1, 2 or 4");
            findings.demand(
                at.saturating_add(width) <= config.bytes_max,
                "length_at",
                "lies beyond bytes_max",
                "make it less",
            );
            let (order, add) = (config.length_order, config.length_add);
            Shape::Sized { sync, length: Length::Told { at, width, order, add } }
        }
    })
}

fn mark(text: Option<&String>, key: &str, findings: &mut Findings<'_>) -> Option<Vec<u8>> {
    let mark = bytes(text?, key, findings)?;
    findings.demand(!mark.is_empty(), key, "is empty", "give at least one byte");
    (!mark.is_empty()).then_some(mark)
}

/// The sync of a frame with a length; without one, only silence tells where a frame starts.
fn sync(config: &Frame, findings: &mut Findings<'_>) -> Vec<u8> {
    let remedy = "give the bytes a frame starts with, or the silence between two frames as gap";
    if config.sync.is_none() {
        findings.needed(config.gap, "sync", remedy);
    }
    mark(config.sync.as_ref(), "sync", findings).unwrap_or_default()
}

fn refuse_pointless(config: &Frame, findings: &mut Findings<'_>) {
    let kind = config.kind;
    if kind != FrameKind::Delimiter {
        findings.pointless(config.start.is_some(), "start", "kind = \"delimiter\"");
        findings.pointless(config.end.is_some(), "end", "kind = \"delimiter\"");
    }
    if kind != FrameKind::Fixed {
        findings.pointless(config.length.is_some(), "length", "kind = \"fixed\"");
    }
    if kind != FrameKind::LengthPrefixed {
        findings.pointless(config.length_at.is_some(), "length_at", "kind = \"length_prefixed\"");
    }
    if !matches!(kind, FrameKind::Fixed | FrameKind::LengthPrefixed) {
        let belongs_to = "kind = \"fixed\" or \"length_prefixed\"";
        findings.pointless(config.sync.is_some(), "sync", belongs_to);
    }
}
