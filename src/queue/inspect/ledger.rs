//! What became of every record.

use std::io;

use super::{Folder, InspectError};
use crate::{Ledger, StreamLedger};

impl Folder {
    /// The ledger of the queue.
    pub fn ledger(&self) -> Result<Ledger, InspectError> {
        self.pages().map_err(|source| self.failed(source))
    }

    fn pages(&self) -> io::Result<Ledger> {
        let mut streams = Vec::new();
        for name in self.names()? {
            let found = self.assess(&name)?;
            let (total, sources) = found.accounts.page();
            let next_sequence = found.next;
            streams.push(StreamLedger { stream: name, total, next_sequence, sources });
        }
        Ok(Ledger { streams })
    }
}
