//! What happened on a line, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_adapter_api::{Counter, Counters, DeviceName};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Times the port was opened.
    Opened,
    /// Times the port could not be opened, or failed while open.
    PortErrors,
    /// Bytes received.
    Bytes,
    /// Bytes received that belong to no frame.
    NoiseBytes,
    /// Whole frames received, whatever became of them.
    Frames,
    /// Frames that lack their start or their end.
    FramesPartial,
    /// Frames longer than allowed.
    FramesTooLong,
    /// Frames whose checksum is wrong.
    FramesChecksum,
    /// Frames that the parser cannot take apart.
    FramesGarbled,
    /// Sound frames that no point is about.
    FramesUnmatched,
    /// Readings handed on.
    Readings,
    /// Points without a value in frames that were sound.
    ValuesInvalid,
    /// Polls sent.
    Polls,
    /// Polls that brought no usable answer in time.
    Timeouts,
    /// Polls that were left out because the line was busy for a whole interval.
    PollsSkipped,
    /// Commands sent to the device.
    Writes,
    /// Commands that failed.
    WritesFailed,
    /// Times the gateway took readings so slowly that bytes may have been lost.
    HeldBack,
}

/// All counts with their names, in the order of [`Count`].
const NAMES: [(Count, &str); 18] = [
    (Count::Opened, "opened"),
    (Count::PortErrors, "port_errors"),
    (Count::Bytes, "bytes"),
    (Count::NoiseBytes, "noise_bytes"),
    (Count::Frames, "frames"),
    (Count::FramesPartial, "frames_partial"),
    (Count::FramesTooLong, "frames_too_long"),
    (Count::FramesChecksum, "frames_checksum"),
    (Count::FramesGarbled, "frames_garbled"),
    (Count::FramesUnmatched, "frames_unmatched"),
    (Count::Readings, "readings"),
    (Count::ValuesInvalid, "values_invalid"),
    (Count::Polls, "polls"),
    (Count::Timeouts, "timeouts"),
    (Count::PollsSkipped, "polls_skipped"),
    (Count::Writes, "writes"),
    (Count::WritesFailed, "writes_failed"),
    (Count::HeldBack, "held_back"),
];

/// The counts of one line.
#[derive(Debug)]
pub struct Tally {
    adapter: String,
    device: DeviceName,
    counts: [AtomicU64; NAMES.len()],
}

impl Tally {
    /// All zero.
    pub fn new(adapter: String, device: DeviceName) -> Self {
        Self { adapter, device, counts: Default::default() }
    }

    /// Counts one.
    pub fn one(&self, count: Count) {
        self.add(count, 1);
    }

    /// Counts several.
    pub fn add(&self, count: Count, number: usize) {
        self.counts[count as usize].fetch_add(number as u64, Ordering::Relaxed);
    }
}

impl Counters for Tally {
    fn snapshot(&self) -> Vec<Counter> {
        NAMES
            .iter()
            .map(|&(count, name)| Counter {
                name,
                labels: vec![
                    ("adapter", self.adapter.clone()),
                    ("device", self.device.as_str().to_owned()),
                ],
                value: self.counts[count as usize].load(Ordering::Relaxed),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_own_name_and_place() {
        for (place, (count, _)) in NAMES.iter().enumerate() {
            assert_eq!(*count as usize, place);
        }
        let device = DeviceName::try_from("d".to_owned()).unwrap();
        let tally = Tally::new("a".to_owned(), device);
        tally.add(Count::Bytes, 7);
        tally.one(Count::HeldBack);
        let counted: Vec<_> = tally.snapshot().into_iter().filter(|c| c.value > 0).collect();
        assert_eq!(counted.len(), 2);
        assert_eq!((counted[0].name, counted[0].value), ("bytes", 7));
        assert_eq!(counted[1].name, "held_back");
        assert_eq!(counted[0].labels, [("adapter", "a".to_owned()), ("device", "d".to_owned())]);
    }
}
