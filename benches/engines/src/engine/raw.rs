//! The plainest durable write there is, into a file that already holds zeros, or has its space
//! reserved only.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use bytes::Bytes;
use rustix::fs::{FallocateFlags, fallocate};

use super::{Engine, PAYLOAD_BYTES};

/// The file is prepared in pieces of this length.
const PIECE_BYTES: usize = 1024 * 1024;

/// A file and where it goes on.
#[derive(Debug)]
pub struct Raw {
    file: File,
    at: u64,
    buffer: Vec<u8>,
}

impl Raw {
    fn create(dir: &Path) -> File {
        let path = dir.join("raw");
        let file = File::options().create(true).truncate(true).write(true).open(path);
        file.expect("a file can be made")
    }

    /// Reserves room for so many messages.
    pub fn reserved(dir: &Path, messages: usize) -> Self {
        let file = Self::create(dir);
        let bytes = (messages * PAYLOAD_BYTES) as u64;
        fallocate(&file, FallocateFlags::empty(), 0, bytes).expect("space can be reserved");
        file.sync_all().expect("the length is synced");
        Self { file, at: 0, buffer: Vec::new() }
    }

    /// Prepares a file of zeros with room for so many messages.
    pub fn zeroed(dir: &Path, messages: usize) -> Self {
        let file = Self::create(dir);
        let (bytes, zeros) = (messages * PAYLOAD_BYTES, vec![0; PIECE_BYTES]);
        for at in (0..bytes).step_by(PIECE_BYTES) {
            let piece = &zeros[..PIECE_BYTES.min(bytes - at)];
            file.write_all_at(piece, at as u64).expect("zeros are written");
        }
        file.sync_all().expect("zeros are synced");
        Self { file, at: 0, buffer: Vec::new() }
    }
}

impl Engine for Raw {
    fn append(&mut self, batch: &[Bytes]) {
        self.buffer.clear();
        for payload in batch {
            self.buffer.extend_from_slice(payload);
        }
        self.file.write_all_at(&self.buffer, self.at).expect("written");
        self.file.sync_data().expect("synced");
        self.at += self.buffer.len() as u64;
    }

    fn has_first(&mut self) -> bool {
        self.at > 0
    }

    fn drain(&mut self) -> usize {
        // Nothing but a file: there is nothing to remove a message from.
        0
    }
}
