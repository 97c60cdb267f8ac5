//! What a sensor has measured and not yet been rid of.
//!
//! The rule that makes a sensor safe: a sample is kept until it was acknowledged, and every new
//! connection starts again with the oldest one kept.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Samples sent and not yet acknowledged.
pub const INFLIGHT_MAX: usize = 20;
/// Samples kept; a sensor has little memory. When it is full, the sensor measures no more.
pub const HELD_MAX: usize = 20_000;

/// The samples of one sensor, numbered from 0.
#[derive(Debug, Default)]
pub struct Outbox {
    held: BTreeMap<u64, Vec<u8>>,
    taken: u64,
    skipped: u64,
    acknowledged: Vec<u64>,
    // What follows concerns the present connection only.
    next: u64,
    submitted: VecDeque<u64>,
    sent: HashMap<u16, u64>,
}

impl Outbox {
    /// Takes a sample, made for its number; a full outbox takes none.
    pub fn take(&mut self, sample: impl FnOnce(u64) -> Vec<u8>) {
        if self.held.len() >= HELD_MAX {
            self.skipped += 1;
            return;
        }
        self.held.insert(self.taken, sample(self.taken));
        self.taken += 1;
    }

    /// A new connection: everything held is to be sent on it, oldest first.
    pub fn reconnected(&mut self) {
        self.next = 0;
        self.submitted.clear();
        self.sent.clear();
    }

    /// The next sample to hand to the connection, if it has room for one.
    pub fn submit(&mut self) -> Option<Vec<u8>> {
        if self.submitted.len() + self.sent.len() >= INFLIGHT_MAX {
            return None;
        }
        let (&number, sample) = self.held.range(self.next..).next()?;
        self.next = number + 1;
        self.submitted.push_back(number);
        Some(sample.clone())
    }

    /// The connection sent the oldest sample handed to it, under this packet id.
    pub fn sent(&mut self, packet_id: u16) {
        if let Some(number) = self.submitted.pop_front() {
            self.sent.insert(packet_id, number);
        }
    }

    /// The gateway acknowledged this packet id.
    pub fn acknowledge(&mut self, packet_id: u16) {
        if let Some(number) = self.sent.remove(&packet_id) {
            self.held.remove(&number);
            self.acknowledged.push(number);
        }
    }

    /// The numbers of the samples acknowledged, in the order of the acknowledgements.
    pub fn acknowledged(&self) -> &[u64] {
        &self.acknowledged
    }

    /// How many samples are held.
    pub fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// How many samples were not taken because the outbox was full.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(samples: u64) -> Outbox {
        let mut outbox = Outbox::default();
        for _ in 0..samples {
            outbox.take(|number| number.to_string().into_bytes());
        }
        outbox
    }

    fn submit_all(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.submit())
            .map(|sample| String::from_utf8(sample).unwrap())
            .collect()
    }

    #[test]
    fn a_sample_is_held_until_it_is_acknowledged() {
        let mut outbox = outbox(2);
        assert_eq!(submit_all(&mut outbox), ["0", "1"]);
        outbox.sent(1);
        outbox.sent(2);
        outbox.acknowledge(2);
        assert_eq!((outbox.acknowledged(), outbox.held()), (&[1][..], 1));
    }

    #[test]
    fn a_new_connection_starts_again_with_the_oldest_unacknowledged_sample() {
        let mut outbox = outbox(4);
        submit_all(&mut outbox);
        for packet_id in 1..=4 {
            outbox.sent(packet_id);
        }
        outbox.acknowledge(1);
        outbox.acknowledge(3);
        outbox.reconnected();
        assert_eq!(submit_all(&mut outbox), ["1", "3"]);
    }

    #[test]
    fn an_acknowledgement_of_the_last_connection_settles_nothing_on_this_one() {
        let mut outbox = outbox(1);
        submit_all(&mut outbox);
        outbox.sent(1);
        outbox.reconnected();
        outbox.acknowledge(1);
        assert_eq!((outbox.acknowledged().len(), outbox.held()), (0, 1));
    }

    #[test]
    fn no_more_than_the_window_is_in_flight() {
        let mut outbox = outbox(100);
        assert_eq!(submit_all(&mut outbox).len(), INFLIGHT_MAX);
        outbox.sent(1);
        assert_eq!(outbox.submit(), None);
        outbox.acknowledge(1);
        assert_eq!(submit_all(&mut outbox).len(), 1);
    }

    #[test]
    fn a_full_outbox_takes_no_sample_and_counts_it() {
        let outbox = outbox(HELD_MAX as u64 + 3);
        assert_eq!((outbox.held(), outbox.skipped()), (HELD_MAX as u64, 3));
    }
}
