//! SQLite with a write-ahead log that is synced at every commit.

use std::path::Path;

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::{CACHE_BYTES, DRAIN_BATCH, Engine};

const FILE: &str = "queue.sqlite";

/// A table whose keys count up.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    next: i64,
}

impl Sqlite {
    /// Opens the database in a folder.
    pub fn open(dir: &Path) -> Self {
        let connection = Connection::open(dir.join(FILE)).expect("SQLite opens");
        let setup = format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-{};
             CREATE TABLE IF NOT EXISTS queue(sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
            CACHE_BYTES / 1024
        );
        connection.execute_batch(&setup).expect("SQLite is set up");
        let last = "SELECT coalesce(max(sequence), -1) FROM queue";
        let last: i64 =
            connection.query_one(last, [], |row| row.get(0)).expect("SQLite is readable");
        Self { connection, next: last + 1 }
    }
}

impl Engine for Sqlite {
    fn append(&mut self, batch: &[Bytes]) {
        let write = self.connection.transaction().expect("SQLite writes");
        {
            let insert = "INSERT INTO queue(sequence, payload) VALUES (?1, ?2)";
            let mut insert = write.prepare_cached(insert).expect("a statement");
            for payload in batch {
                insert.execute(params![self.next, &payload[..]]).expect("SQLite inserts");
                self.next += 1;
            }
        }
        write.commit().expect("SQLite commits");
    }

    fn has_first(&mut self) -> bool {
        let first = "SELECT length(payload) FROM queue ORDER BY sequence LIMIT 1";
        self.connection.query_one(first, [], |row| row.get::<_, i64>(0)).is_ok()
    }

    fn drain(&mut self) -> usize {
        let (mut drained, mut from) = (0, 0);
        loop {
            let write = self.connection.transaction().expect("SQLite writes");
            let (begun, mut read) = (from, 0);
            {
                let select = "SELECT sequence, payload FROM queue WHERE sequence >= ?1 \
                              ORDER BY sequence LIMIT ?2";
                let mut select = write.prepare_cached(select).expect("a statement");
                let mut rows = select.query(params![from, DRAIN_BATCH as i64]).expect("rows");
                while let Some(row) = rows.next().expect("SQLite is readable") {
                    let payload = row.get_ref(1).and_then(|payload| Ok(payload.as_blob()?.len()));
                    std::hint::black_box(payload.expect("a payload"));
                    from = row.get::<_, i64>(0).expect("a sequence") + 1;
                    read += 1;
                }
                let delete = "DELETE FROM queue WHERE sequence >= ?1 AND sequence < ?2";
                let mut delete = write.prepare_cached(delete).expect("a statement");
                delete.execute(params![begun, from]).expect("SQLite removes");
            }
            write.commit().expect("SQLite commits");
            if read == 0 {
                return drained;
            }
            drained += read;
        }
    }
}
