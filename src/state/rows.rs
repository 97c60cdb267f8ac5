//! How entries of tables become rows of the tree, and back.

/// The most bytes of a value that one row carries.
pub(super) const PIECE_BYTES_MAX: usize = 4 * 1024;
/// The most bytes a key may have.
pub(super) const KEY_BYTES_MAX: usize = 512;
/// The most bytes a value may have.
pub(super) const VALUE_BYTES_MAX: usize = 256 * 1024;
/// The row that belongs to the store itself. No table has an empty name, so no entry is there.
pub(super) const META_KEY: &[u8] = &[0];

/// Keys and values, of rows or of entries.
pub(super) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

const COUNT_BYTES: usize = 2;
const PIECE_NUMBER_BYTES: usize = 2;

/// The store's own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Meta {
    /// The number of the last commit.
    pub sequence: u64,
    /// Grows whenever the store came back without everything it had promised.
    pub epoch: u64,
    /// The wrapping sum of [`row_hash`] over all rows but this.
    pub digest: u64,
    /// The number of rows but this.
    pub rows: u64,
}

impl Meta {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.sequence, self.epoch, self.digest, self.rows]
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let numbers: &[u8; 32] = bytes.try_into().ok()?;
        let at =
            |n: usize| u64::from_le_bytes(numbers[n * 8..n * 8 + 8].try_into().expect("8 of 32"));
        Some(Self { sequence: at(0), epoch: at(1), digest: at(2), rows: at(3) })
    }

    /// Takes a row into account.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.digest = self.digest.wrapping_add(row_hash(key, value));
        self.rows += 1;
    }

    /// Takes a row out of account.
    pub(super) fn subtract(&mut self, key: &[u8], value: &[u8]) {
        self.digest = self.digest.wrapping_sub(row_hash(key, value));
        self.rows = self.rows.saturating_sub(1);
    }
}

/// FNV-1a, 64 bits, over the key's length, the key and the value.
fn row_hash(key: &[u8], value: &[u8]) -> u64 {
    let length = (key.len() as u32).to_le_bytes();
    length.iter().chain(key).chain(value).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What the keys of a table's rows begin with.
pub(super) fn table_prefix(table: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(table.len() + 1);
    prefix.extend_from_slice(table.as_bytes());
    prefix.push(0);
    prefix
}

/// What the keys of an entry's rows begin with; distinct for every entry of every table.
pub(super) fn entry_prefix(table: &str, key: &[u8]) -> Vec<u8> {
    let mut prefix = table_prefix(table);
    prefix.extend_from_slice(&(key.len() as u16).to_be_bytes());
    prefix.extend_from_slice(key);
    prefix
}

/// The rows of an entry.
pub(super) fn split(entry_prefix: &[u8], value: &[u8]) -> Entries {
    let pieces = value.len().div_ceil(PIECE_BYTES_MAX).max(1);
    let row = |number: usize| {
        let start = number * PIECE_BYTES_MAX;
        let piece = &value[start..value.len().min(start + PIECE_BYTES_MAX)];
        let mut key = entry_prefix.to_vec();
        key.extend_from_slice(&(number as u16).to_be_bytes());
        let mut bytes = (pieces as u16).to_le_bytes().to_vec();
        bytes.extend_from_slice(piece);
        (key, bytes)
    };
    (0..pieces).map(row).collect()
}

/// The table and key that a row belongs to, and the number of its piece; `None` for what is no
/// row of an entry.
pub(super) fn owner(row_key: &[u8]) -> Option<(&[u8], &[u8], u16)> {
    let table_len = row_key.iter().position(|byte| *byte == 0).filter(|len| *len > 0)?;
    let (table, rest) = (&row_key[..table_len], &row_key[table_len + 1..]);
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (key, number) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let number: [u8; PIECE_NUMBER_BYTES] = number.try_into().ok()?;
    Some((table, key, u16::from_be_bytes(number)))
}

/// Puts the pieces of one entry together; `None` while some are missing or out of order.
#[derive(Debug, Default)]
pub(super) struct Joined {
    value: Vec<u8>,
    pieces: u16,
    expected: u16,
}

impl Joined {
    /// Takes the next row's value; false if it does not follow.
    pub(super) fn push(&mut self, number: u16, row_value: &[u8]) -> bool {
        let Some((count, piece)) = row_value.split_first_chunk::<COUNT_BYTES>() else {
            return false;
        };
        let count = u16::from_le_bytes(*count);
        let follows = number == self.pieces && number < count;
        if !follows || (number > 0 && count != self.expected) {
            return false;
        }
        self.value.extend_from_slice(piece);
        self.pieces += 1;
        self.expected = count;
        true
    }

    /// The whole value.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (self.pieces > 0 && self.pieces == self.expected).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(rows: &[(Vec<u8>, Vec<u8>)]) -> Option<Vec<u8>> {
        let mut joined = Joined::default();
        rows.iter()
            .all(|(key, value)| joined.push(owner(key).unwrap().2, value))
            .then(|| joined.finish())?
    }

    #[test]
    fn a_value_of_any_length_comes_back_from_its_rows() {
        for length in
            [0, 1, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, VALUE_BYTES_MAX]
        {
            let value: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let rows = split(&entry_prefix("table", b"\0key"), &value);
            assert!(rows.iter().all(|(_, row)| row.len() <= PIECE_BYTES_MAX + COUNT_BYTES));
            assert_eq!(owner(&rows[0].0), Some((&b"table"[..], &b"\0key"[..], 0)));
            assert_eq!(join(&rows), Some(value));
        }
    }

    #[test]
    fn an_entry_with_a_piece_missing_is_no_entry() {
        let rows = split(&entry_prefix("t", b"k"), &vec![7; 3 * PIECE_BYTES_MAX]);
        for missing in 0..rows.len() {
            let mut rest = rows.clone();
            rest.remove(missing);
            assert_eq!(join(&rest), None, "without piece {missing}");
        }
    }

    #[test]
    fn no_entry_shares_its_rows_with_another() {
        let a = entry_prefix("t", b"key");
        let b = entry_prefix("t", b"keyring");
        assert!(!b.starts_with(&a) && !a.starts_with(&b));
    }

    #[test]
    fn the_digest_forgets_a_row_that_is_taken_out_again() {
        let mut meta = Meta { sequence: 3, epoch: 1, ..Meta::default() };
        meta.add(b"a", b"1");
        let before = meta;
        meta.add(b"b", b"2");
        assert_ne!(meta.digest, before.digest);
        meta.subtract(b"b", b"2");
        assert_eq!(meta, before);
        assert_eq!(Meta::from_bytes(&meta.to_bytes()), Some(meta));
    }
}
