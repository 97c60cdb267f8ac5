//! Reading the inbox back from disk.

use super::{driver::Shared, entry::Entry, inbox::Inbox};
use crate::state::StateError;

/// Rows read from the state store at a time.
const RESTORE_PAGE: usize = 100;

impl Shared {
    /// Reads everything, and only then lets commands in.
    pub(super) async fn restore(&self) -> Result<(), StateError> {
        let epoch = self.state.epoch().await?;
        let mut inbox = Inbox::new(self.inbox().pending_max());
        let mut after: Option<Vec<u8>> = None;
        while let Some(last) = self.restore_seen(&mut inbox, after.as_deref()).await? {
            after = Some(last);
        }
        after = None;
        while let Some(last) = self.restore_entries(&mut inbox, epoch, after.as_deref()).await? {
            after = Some(last);
        }
        let waiting = inbox.len();
        *self.inbox() = inbox;
        self.epoch.send_replace(Some(epoch));
        if waiting > 0 {
            tracing::info!(waiting, "commands were waiting from before the restart");
        }
        Ok(())
    }

    async fn restore_seen(
        &self,
        inbox: &mut Inbox,
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let page = self.seen.scan(after, RESTORE_PAGE).await?;
        for (key, id) in &page {
            if let (Some(number), Ok(id)) = (number_of(key), String::from_utf8(id.clone())) {
                inbox.restore_seen(number, id);
            }
        }
        Ok(page.last().map(|(key, _)| key.clone()))
    }

    async fn restore_entries(
        &self,
        inbox: &mut Inbox,
        epoch: u64,
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let page = self.entries.scan(after, RESTORE_PAGE).await?;
        let now = self.now();
        for (key, bytes) in &page {
            let kept = match (number_of(key), Entry::from_bytes(bytes)) {
                (Some(number), Ok(entry)) => inbox.restore(number, entry, epoch, now),
                (_, outcome) => {
                    let error = outcome.err().map(|error| error.to_string());
                    tracing::error!(?key, error, "a command in the inbox cannot be read: dropped");
                    false
                }
            };
            if !kept {
                self.entries.delete(key).await?;
            }
        }
        Ok(page.last().map(|(key, _)| key.clone()))
    }
}

fn number_of(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}
