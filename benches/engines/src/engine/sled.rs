//! sled 0.34. Its flush writes without a sync, so the file is synced after it.

use std::{fs::File, path::Path};

use bytes::Bytes;

use super::{CACHE_BYTES, DRAIN_BATCH, Engine};

/// The file in sled's folder that holds its log.
const LOG: &str = "db";

/// A database whose keys count up.
#[derive(Debug)]
pub struct Sled {
    db: sled::Db,
    log: File,
    next: u64,
}

impl Sled {
    /// Opens the database in a folder.
    pub fn open(dir: &Path) -> Self {
        let config = sled::Config::default().path(dir).cache_capacity(CACHE_BYTES);
        let db = config.flush_every_ms(None).open().expect("sled opens");
        let log = File::open(dir.join(LOG)).expect("sled's log");
        let last = db.last().expect("sled is readable");
        let next = last.map_or(0, |(key, _)| number(&key) + 1);
        Self { db, log, next }
    }

    fn sync(&self) {
        self.db.flush().expect("sled flushes");
        self.log.sync_data().expect("sled's log is synced");
    }
}

fn number(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().expect("a key of eight bytes"))
}

impl Engine for Sled {
    fn append(&mut self, batch: &[Bytes]) {
        let mut inserts = sled::Batch::default();
        for payload in batch {
            inserts.insert(&self.next.to_be_bytes(), &payload[..]);
            self.next += 1;
        }
        self.db.apply_batch(inserts).expect("sled inserts");
        self.sync();
    }

    fn has_first(&mut self) -> bool {
        self.db.first().expect("sled is readable").is_some()
    }

    fn drain(&mut self) -> usize {
        let (mut drained, mut from) = (0, [0; 8]);
        loop {
            let mut removals = sled::Batch::default();
            let mut read = 0;
            for entry in self.db.range(from..).take(DRAIN_BATCH) {
                let (key, payload) = entry.expect("sled is readable");
                std::hint::black_box(payload.len());
                from = (number(&key) + 1).to_be_bytes();
                removals.remove(key);
                read += 1;
            }
            if read == 0 {
                return drained;
            }
            self.db.apply_batch(removals).expect("sled removes");
            self.sync();
            drained += read;
        }
    }
}
