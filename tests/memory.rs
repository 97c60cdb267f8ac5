//! Promise 7: memory does not grow with the backlog.

use std::time::Duration;

use crate::support::{Cloud, Fleet, Gateway, Load, folder, resident_bytes};

const LIMIT: Duration = Duration::from_mins(3);
const RESIDENT_BYTES_MAX: u64 = 40_000_000;

/// The benchmark measures with a million; here the growth between two backlogs is what counts.
#[test]
fn heavy_memory_does_not_grow_with_the_backlog() {
    let folder = folder();
    let cloud = Cloud::away(folder.path());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &cloud.uplink());
    gateway.start();
    let mut resident = Vec::new();
    for part in ["first", "second", "third"] {
        let topic = format!("sensors/{part}");
        let load = Load { messages_each: 2_500, topic, ..Load::default() };
        Fleet::start(load, gateway.address.clone()).finish(LIMIT);
        resident.push(resident_bytes(gateway.id()).0);
    }
    assert_eq!(gateway.ledger().total("telemetry").queued, 150_000);
    assert!(resident.iter().all(|&bytes| bytes < RESIDENT_BYTES_MAX), "{resident:?}");
    let growth = resident[2].saturating_sub(resident[1]);
    // 50,000 messages of 256 bytes are 12.8 MB.
    assert!(growth < 4_000_000, "it grew by {growth} bytes with 50,000 messages: {resident:?}");
}
