//! What is owed to the cloud, compared with what it got.

use super::{device::DeviceLog, recorder::Recorder};

/// The comparison of all devices.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged to a device.
    pub acknowledged: u64,
    /// Arrived at least once.
    pub arrived: u64,
    /// Arrivals beyond the first of each message.
    pub duplicates: u64,
    /// Acknowledged, and never arrived: `device number`.
    pub missing: Vec<String>,
    /// First arrivals that came after a later message of the same device: `device number`.
    pub out_of_order: Vec<String>,
}

/// Compares the devices' logs with the record; `topic` is where a device's messages arrive.
pub fn compare(logs: &[DeviceLog], recorder: &Recorder, topic: impl Fn(&str) -> String) -> Verdict {
    let record = recorder.record();
    let mut verdict = Verdict::default();
    for log in logs {
        let arrivals = record.numbered.get(&topic(&log.name)).cloned().unwrap_or_default();
        verdict.arrived += arrivals.firsts.len() as u64;
        verdict.duplicates += arrivals.total - arrivals.firsts.len() as u64;
        for (number, _) in log.acknowledged.iter().enumerate().filter(|(_, acked)| **acked) {
            verdict.acknowledged += 1;
            if arrivals.counts.get(number).copied().unwrap_or(0) == 0 {
                verdict.missing.push(format!("{} {number}", log.name));
            }
        }
        for pair in arrivals.firsts.windows(2).filter(|pair| pair[0] > pair[1]) {
            verdict.out_of_order.push(format!("{} {}", log.name, pair[1]));
        }
    }
    verdict
}

impl Verdict {
    /// Panics unless everything acknowledged arrived, in order.
    #[track_caller]
    pub fn expect_nothing_lost(&self) {
        let head = |list: &[String]| list[..list.len().min(10)].join(", ");
        assert!(
            self.missing.is_empty() && self.out_of_order.is_empty(),
            "{} acknowledged, {} arrived, {} missing ({}), {} out of order ({})",
            self.acknowledged,
            self.arrived,
            self.missing.len(),
            head(&self.missing),
            self.out_of_order.len(),
            head(&self.out_of_order),
        );
    }
}
