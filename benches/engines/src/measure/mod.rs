//! What is measured, one table or two each.

pub mod append;
pub mod backlog;
pub mod concurrent;

use bytes::Bytes;

use crate::engine::PAYLOAD_BYTES;

/// A batch of random payloads, which no engine can make smaller.
fn batch(messages: usize) -> Vec<Bytes> {
    let payloads = (0..messages).map(|_| {
        let mut payload = vec![0; PAYLOAD_BYTES];
        getrandom::fill(&mut payload).expect("random bytes");
        payload.into()
    });
    payloads.collect()
}
