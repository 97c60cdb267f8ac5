//! The export: every row at one commit, with checksums, in a form that needs no sled.
//! (Its format is in the head of the module.)

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use super::{
    mark::Seen,
    rows::{Entries, KEY_BYTES_MAX, Meta, PIECE_BYTES_MAX},
};

const MAGIC: &[u8; 8] = b"HFSTATE1";
const HEADER_BYTES: usize = 32;
/// No row is longer than this; a length beyond it is damage.
const ROW_PART_BYTES_MAX: usize = 2 * (KEY_BYTES_MAX + PIECE_BYTES_MAX);

/// What an export holds.
#[derive(Debug, Default)]
pub(super) struct Export {
    pub sequence: u64,
    pub epoch: u64,
    pub rows: Entries,
    /// Rows that the header promises and that are not here.
    pub rows_lost: u64,
}

/// Writes the header; the rows follow, one [`write_row`] each, `meta.rows` of them.
pub(super) fn write_header(out: &mut dyn Write, meta: &Meta) -> io::Result<()> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    for number in [meta.sequence, meta.epoch, meta.rows] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    out.write_all(&header)?;
    out.write_all(&crc32c::crc32c(&header).to_le_bytes())
}

pub(super) fn write_row(out: &mut dyn Write, key: &[u8], value: &[u8]) -> io::Result<()> {
    let mut row = Vec::with_capacity(key.len() + value.len() + 12);
    row.extend_from_slice(&(key.len() as u32).to_le_bytes());
    row.extend_from_slice(&(value.len() as u32).to_le_bytes());
    row.extend_from_slice(key);
    row.extend_from_slice(value);
    let checksum = crc32c::crc32c(&row);
    row.extend_from_slice(&checksum.to_le_bytes());
    out.write_all(&row)
}

/// The commit that an export is of; `None` where there is no export that can be read.
pub(super) fn peek(path: &Path) -> Option<Seen> {
    let header = read_header(&mut File::open(path).ok()?);
    let (export, _) = header.ok()??;
    Some(Seen { sequence: export.sequence, epoch: export.epoch })
}

/// Reads what can be read. `None` where there is no export, or its header is damaged.
pub(super) fn read(path: &Path) -> io::Result<Option<Export>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut input = BufReader::new(file);
    let Some((mut export, promised)) = read_header(&mut input)? else { return Ok(None) };
    for _ in 0..promised {
        match read_row(&mut input)? {
            Row::Whole(key, value) => export.rows.push((key, value)),
            Row::Damaged => {}
            Row::End => break,
        }
    }
    export.rows_lost = promised - export.rows.len() as u64;
    Ok(Some(export))
}

fn read_header(input: &mut impl Read) -> io::Result<Option<(Export, u64)>> {
    let mut bytes = [0; HEADER_BYTES + 4];
    if !fill(input, &mut bytes)? {
        return Ok(None);
    }
    let (header, checksum) = bytes.split_at(HEADER_BYTES);
    if !header.starts_with(MAGIC) || crc32c::crc32c(header).to_le_bytes() != *checksum {
        return Ok(None);
    }
    let number = |n: usize| u64::from_le_bytes(header[n * 8..][..8].try_into().expect("8 bytes"));
    let export = Export { sequence: number(1), epoch: number(2), ..Export::default() };
    Ok(Some((export, number(3))))
}

enum Row {
    Whole(Vec<u8>, Vec<u8>),
    Damaged,
    End,
}

fn read_row(input: &mut impl Read) -> io::Result<Row> {
    let mut lengths = [0; 8];
    if !fill(input, &mut lengths)? {
        return Ok(Row::End);
    }
    let length =
        |at: usize| u32::from_le_bytes(lengths[at..at + 4].try_into().expect("4 bytes")) as usize;
    let (key_len, value_len) = (length(0), length(4));
    if key_len > ROW_PART_BYTES_MAX || value_len > ROW_PART_BYTES_MAX {
        return Ok(Row::End);
    }
    let mut rest = vec![0; key_len + value_len + 4];
    if !fill(input, &mut rest)? {
        return Ok(Row::End);
    }
    let (body, checksum) = rest.split_at(key_len + value_len);
    if crc32c::crc32c_append(crc32c::crc32c(&lengths), body).to_le_bytes() != *checksum {
        return Ok(Row::Damaged);
    }
    Ok(Row::Whole(body[..key_len].to_vec(), body[key_len..].to_vec()))
}

/// Fills the buffer; false at the end of the input.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
