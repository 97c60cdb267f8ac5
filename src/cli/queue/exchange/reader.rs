//! Reading an export, of which nothing is believed.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::line::{FORMAT, Header, HeaderStream, RecordLine, TRAILER_START, Trailer, VERSION};
use crate::queue::{NewRecord, Origin};

/// No line is longer: the longest payload with every byte escaped fits.
const LINE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What is wrong with an export, and where.
#[derive(Debug, Error)]
pub(in crate::cli::queue) enum ReadError {
    /// The file cannot be opened.
    #[error("{}: {source}", file.display())]
    Open { file: PathBuf, source: io::Error },
    /// A line of it is not as it should be.
    #[error("{} line {line}: {what}", file.display())]
    Line { file: PathBuf, line: u64, what: String },
}

/// A record of an export.
#[derive(Debug)]
pub(in crate::cli::queue) struct Entry {
    pub(in crate::cli::queue) line: u64,
    pub(in crate::cli::queue) stream: String,
    pub(in crate::cli::queue) origin: Origin,
    pub(in crate::cli::queue) settled: bool,
    pub(in crate::cli::queue) record: NewRecord,
}

/// An export being read: an iterator over its records that fails at the first line that is not
/// as it should be, and at the end unless the trailer agrees with what was read.
#[derive(Debug)]
pub(in crate::cli::queue) struct Export {
    path: PathBuf,
    input: BufReader<File>,
    header: Header,
    line: u64,
    checksum: u32,
    /// Of each stream, how many records were read, and the sequence of the last.
    read: BTreeMap<String, (u64, u64)>,
    ended: bool,
}

impl Export {
    /// Opens an export and reads its header.
    pub(in crate::cli::queue) fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |what: String| ReadError::Line { file: path.to_owned(), line: 1, what };
        let file =
            File::open(path).map_err(|source| ReadError::Open { file: path.to_owned(), source })?;
        let header = Header {
            format: String::new(),
            version: 0,
            exported: String::new(),
            by: String::new(),
            settled_too: false,
            streams: Vec::new(),
        };
        let mut export = Self {
            path: path.to_owned(),
            input: BufReader::new(file),
            header,
            line: 0,
            checksum: 0,
            read: BTreeMap::new(),
            ended: false,
        };
        let line = export.next_line()?.ok_or_else(|| failed("the file is empty".to_owned()))?;
        export.header = serde_json::from_slice(&line)
            .map_err(|error| failed(format!("this is no header of an export: {error}")))?;
        let (format, version) = (&export.header.format, export.header.version);
        if format != FORMAT {
            return Err(failed(format!("the format is `{format}`, not `{FORMAT}`")));
        }
        if version != VERSION {
            return Err(failed(format!(
                "the export's version is {version}, and this program knows {VERSION}"
            )));
        }
        Ok(export)
    }

    /// The streams that the header names.
    pub(in crate::cli::queue) fn streams(&self) -> &[HeaderStream] {
        &self.header.streams
    }

    fn wrong(&self, what: impl Into<String>) -> ReadError {
        ReadError::Line { file: self.path.clone(), line: self.line, what: what.into() }
    }

    /// The next line without its end; `None` at the end of the file.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        self.line += 1;
        let mut line = Vec::new();
        let read = self.input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match read.map_err(|error: io::Error| self.wrong(error.to_string()))? {
            0 => return Ok(None),
            _ if line.last() != Some(&b'\n') => {
                return Err(self.wrong("the line has no end: the export was cut off"));
            }
            _ => {}
        }
        if !line.starts_with(TRAILER_START) {
            self.checksum = crc32c::crc32c_append(self.checksum, &line);
        }
        line.pop();
        Ok(Some(line))
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let Some(line) = self.next_line()? else {
            return Err(self.wrong("there is no trailer: the export was cut off"));
        };
        if line.starts_with(TRAILER_START) {
            return self.check_trailer(&line).map(|()| None);
        }
        let line: RecordLine<'_> = serde_json::from_slice(&line)
            .map_err(|error| self.wrong(format!("this is no record: {error}")))?;
        let (stream, sequence) = (line.stream.clone().into_owned(), line.sequence);
        if !self.header.streams.iter().any(|known| known.stream == stream) {
            return Err(self.wrong(format!("the header does not name the stream `{stream}`")));
        }
        let settled = line.settled;
        let (origin, record) = line.into_record().map_err(|what| self.wrong(what))?;
        let last = self.read.get(&stream).copied();
        if last.is_some_and(|(_, last)| last >= sequence) {
            return Err(self.wrong(format!("sequence {sequence} is not behind the one before it")));
        }
        let count = last.map_or(1, |(count, _)| count + 1);
        self.read.insert(stream.clone(), (count, sequence));
        Ok(Some(Entry { line: self.line, stream, origin, settled, record }))
    }

    fn check_trailer(&mut self, line: &[u8]) -> Result<(), ReadError> {
        let trailer: Trailer = serde_json::from_slice(line)
            .map_err(|error| self.wrong(format!("this is no trailer: {error}")))?;
        let read: BTreeMap<String, u64> =
            self.read.iter().map(|(stream, (count, _))| (stream.clone(), *count)).collect();
        let sum: u64 = read.values().sum();
        if trailer.end != FORMAT || trailer.records != sum || trailer.streams != read {
            return Err(self.wrong(format!(
                "the trailer counts {} record(s), and there are {sum}: the export was changed",
                trailer.records
            )));
        }
        if trailer.crc32c != format!("{:08x}", self.checksum) {
            return Err(self.wrong("the checksum does not fit: the export was changed"));
        }
        match self.next_line()? {
            None => Ok(()),
            Some(_) => Err(self.wrong("something stands behind the trailer")),
        }
    }
}

impl Iterator for Export {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_entry().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
