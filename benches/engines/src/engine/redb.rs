//! redb, whose commits are durable by default.

use std::path::Path;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{CACHE_BYTES, DRAIN_BATCH, Engine};

const FILE: &str = "queue.redb";
const QUEUE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("queue");

/// A database whose keys count up.
#[derive(Debug)]
pub struct Redb {
    db: Database,
    next: u64,
}

impl Redb {
    /// Opens the database in a folder.
    pub fn open(dir: &Path) -> Self {
        let cache = usize::try_from(CACHE_BYTES).expect("a cache that fits in memory");
        let db = Database::builder().set_cache_size(cache).create(dir.join(FILE));
        let db = db.expect("redb opens");
        let write = db.begin_write().expect("redb writes");
        let next = {
            let table = write.open_table(QUEUE).expect("the table");
            let last = table.last().expect("redb is readable");
            last.map_or(0, |(key, _)| key.value() + 1)
        };
        write.commit().expect("redb commits");
        Self { db, next }
    }
}

impl Engine for Redb {
    fn append(&mut self, batch: &[Bytes]) {
        let write = self.db.begin_write().expect("redb writes");
        {
            let mut table = write.open_table(QUEUE).expect("the table");
            for payload in batch {
                table.insert(self.next, &payload[..]).expect("redb inserts");
                self.next += 1;
            }
        }
        write.commit().expect("redb commits");
    }

    fn has_first(&mut self) -> bool {
        let read = self.db.begin_read().expect("redb reads");
        let table = read.open_table(QUEUE).expect("the table");
        table.first().expect("redb is readable").is_some()
    }

    fn drain(&mut self) -> usize {
        let (mut drained, mut from) = (0, 0);
        loop {
            let write = self.db.begin_write().expect("redb writes");
            let mut read = 0;
            {
                let mut table = write.open_table(QUEUE).expect("the table");
                let begun = from;
                for entry in table.range(from..).expect("redb is readable").take(DRAIN_BATCH) {
                    let (key, payload) = entry.expect("redb is readable");
                    std::hint::black_box(payload.value().len());
                    from = key.value() + 1;
                    read += 1;
                }
                table.retain_in(begun..from, |_, _| false).expect("redb removes");
            }
            write.commit().expect("redb commits");
            if read == 0 {
                return drained;
            }
            drained += read;
        }
    }
}
