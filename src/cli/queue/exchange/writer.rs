//! Writing an export.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::line::{FORMAT, Header, HeaderStream, RecordLine, Trailer, VERSION};
use crate::queue::Stored;

/// Writes an export line by line; nothing of it is kept.
#[derive(Debug)]
pub(in crate::cli::queue) struct Writer<W: Write> {
    out: W,
    checksum: u32,
    records: BTreeMap<String, u64>,
}

impl<W: Write> Writer<W> {
    /// Begins an export with its header.
    pub(in crate::cli::queue) fn begin(
        out: W,
        exported: String,
        settled_too: bool,
        streams: Vec<HeaderStream>,
    ) -> io::Result<Self> {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            exported,
            by: concat!("holdfast ", env!("CARGO_PKG_VERSION")).to_owned(),
            settled_too,
            streams,
        };
        let mut writer = Self { out, checksum: 0, records: BTreeMap::new() };
        writer.line(&serde_json::to_string(&header)?)?;
        Ok(writer)
    }

    /// Writes a record.
    pub(in crate::cli::queue) fn record(
        &mut self,
        stream: &str,
        stored: &Stored,
    ) -> io::Result<()> {
        self.line(&RecordLine::of(stream, stored).to_json())?;
        match self.records.get_mut(stream) {
            Some(count) => *count += 1,
            None => drop(self.records.insert(stream.to_owned(), 1)),
        }
        Ok(())
    }

    /// Ends it with the trailer; how many records it holds, and the output.
    pub(in crate::cli::queue) fn end(mut self, damaged: u64) -> io::Result<(u64, W)> {
        let records = self.records.values().sum();
        let trailer = Trailer {
            end: FORMAT.to_owned(),
            records,
            streams: std::mem::take(&mut self.records),
            damaged,
            crc32c: format!("{:08x}", self.checksum),
        };
        self.line(&serde_json::to_string(&trailer)?)?;
        self.out.flush()?;
        Ok((records, self.out))
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        self.checksum = crc32c::crc32c_append(self.checksum, text.as_bytes());
        self.checksum = crc32c::crc32c_append(self.checksum, b"\n");
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")
    }
}
