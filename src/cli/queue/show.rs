//! `holdfast queue show`

use std::{
    fmt::Write as _,
    io::{self, BufWriter, Write},
};

use clap::Args;
use serde::Serialize;

use super::{
    Stopped,
    exchange::RecordLine,
    folder::FolderArgs,
    moment::{Moment, shown},
};
use crate::{
    cli::{
        Exit,
        table::table,
        terminal::{cut, ended_early_is_fine, harmless, print, tell, width},
    },
    queue::{Folder, OtherFile, Record, SegmentFile, StreamFiles},
};

/// Payload bytes that are shown where the line is not cut to a terminal.
const PAYLOAD_BYTES_SHOWN: usize = 4096;

/// Options of `holdfast queue show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The stream.
    stream: String,
    #[command(flatten)]
    folder: FolderArgs,
    /// The first sequence to show.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    from: u64,
    /// How many records to show at most.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Show the stream's files instead of its records.
    #[arg(long, conflicts_with_all = ["from", "count"])]
    files: bool,
    /// Print JSON: a line per record, as in an export, or one object with the files.
    #[arg(long)]
    json: bool,
}

pub(super) fn show(args: &ShowArgs) -> Result<Exit, Stopped> {
    let folder = args.folder.open()?;
    if args.files {
        let files = folder.files(&args.stream)?;
        let text = if args.json { files_json(&files) } else { files_text(&files) };
        print(&text).map_err(Stopped::output)?;
        return Ok(Exit::Success);
    }
    records(&folder, args)
}

fn records(folder: &Folder, args: &ShowArgs) -> Result<Exit, Stopped> {
    let mut records = folder.records(&args.stream, args.from)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let width = width();
    let mut shown = 0;
    for stored in records.by_ref().take(usize::try_from(args.count).unwrap_or(usize::MAX)) {
        let stored = stored?;
        let line = if args.json {
            RecordLine::of(&args.stream, &stored).to_json()
        } else {
            cut(&readable(&stored.record), width)
        };
        if let Err(error) = writeln!(out, "{line}") {
            ended_early_is_fine(Err(error)).map_err(Stopped::output)?;
            return Ok(Exit::Success);
        }
        shown += 1;
    }
    ended_early_is_fine(out.flush()).map_err(Stopped::output)?;
    if shown == 0 && records.damaged() == 0 {
        tell(format_args!("nothing waits in stream {} from {} on", args.stream, args.from));
    }
    if records.damaged() > 0 {
        tell(format_args!("{} damaged record(s) were passed over", records.damaged()));
    }
    Ok(Exit::Success)
}

/// A record in one line: sequence, time (`?` if it was not trusted), source, topic, payload.
fn readable(record: &Record) -> String {
    let time = shown(Some(record.stamp));
    let (source, topic) = (harmless(&record.source), harmless(&record.topic));
    format!("{} {time} {source} {topic} {}", record.sequence, readable_payload(&record.payload))
}

fn readable_payload(payload: &[u8]) -> String {
    let kept = &payload[..payload.len().min(PAYLOAD_BYTES_SHOWN)];
    let rest = if kept.len() < payload.len() {
        format!("… ({} bytes)", payload.len())
    } else {
        String::new()
    };
    let is_text = |text: &str| !text.chars().any(|letter| letter.is_control() && letter != '\n');
    // A letter may be cut in two at the end of what is kept.
    let text = match std::str::from_utf8(kept) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && kept.len() < payload.len() => {
            std::str::from_utf8(&kept[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    if let Some(text) = text.filter(|text| is_text(text)) {
        return harmless(text) + &rest;
    }
    let mut hex = String::from("0x");
    for byte in kept {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex + &rest
}

#[derive(Debug, Serialize)]
struct SegmentLine<'a> {
    file: &'a str,
    bytes: u64,
    format_version: Option<u16>,
    key: Option<String>,
    base: u64,
    end: u64,
    records: u64,
    queued: u64,
    damaged: u64,
    oldest: Option<Moment>,
    newest: Option<Moment>,
}

impl<'a> From<&'a SegmentFile> for SegmentLine<'a> {
    fn from(file: &'a SegmentFile) -> Self {
        Self {
            file: &file.file,
            bytes: file.bytes,
            format_version: file.format_version,
            key: file.key.map(|tag| tag.to_string()),
            base: file.base,
            end: file.end,
            records: file.records,
            queued: file.queued,
            damaged: file.damaged,
            oldest: file.oldest.map(Moment::from),
            newest: file.newest.map(Moment::from),
        }
    }
}

fn files_json(files: &StreamFiles) -> String {
    let segments: Vec<_> = files.segments.iter().map(SegmentLine::from).collect();
    let json = serde_json::json!({ "segments": segments, "others": files.others });
    format!("{json}\n")
}

fn files_text(files: &StreamFiles) -> String {
    let head = [
        "segment", "oldest", "newest", "first", "last", "records", "queued", "damaged", "bytes",
        "format", "key",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for file in &files.segments {
        rows.push(vec![
            file.file.clone(),
            shown(file.oldest),
            shown(file.newest),
            file.base.to_string(),
            if file.end > file.base { (file.end - 1).to_string() } else { "-".to_owned() },
            file.records.to_string(),
            file.queued.to_string(),
            file.damaged.to_string(),
            file.bytes.to_string(),
            file.format_version.map_or_else(|| "?".to_owned(), |version| version.to_string()),
            file.key.map_or_else(|| "-".to_owned(), |tag| tag.to_string()),
        ]);
    }
    let mut others = vec![["other file", "purpose", "bytes"].map(str::to_owned).to_vec()];
    for OtherFile { file, bytes, purpose } in &files.others {
        let purpose = format!("{purpose:?}").to_lowercase();
        others.push(vec![harmless(file), purpose, bytes.to_string()]);
    }
    table(&rows, 3) + "\n" + &table(&others, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_text_and_anything_else_in_hexadecimal() {
        assert_eq!(readable_payload("21.5 °C".as_bytes()), "21.5 °C");
        assert_eq!(readable_payload(b"a\nb"), "a\\nb");
        assert_eq!(readable_payload(b"\x1b[2J"), "0x1b5b324a");
        assert_eq!(readable_payload(b"\xff\x00"), "0xff00");
        assert_eq!(readable_payload(b""), "");
    }

    #[test]
    fn a_long_payload_is_cut_between_letters() {
        let long = "°".repeat(PAYLOAD_BYTES_SHOWN);
        let odd = format!("a{long}");
        let shown = readable_payload(odd.as_bytes());
        assert!(shown.starts_with("a°") && shown.ends_with("°… (8193 bytes)"), "{shown}");
    }
}
