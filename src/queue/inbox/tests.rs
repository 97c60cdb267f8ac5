use bytes::Bytes;

use super::*;
use crate::Stamp;

const PATIENCE: Duration = Duration::from_secs(10);
/// So long that something else has to end the wait.
const LONG: Duration = Duration::from_secs(20);

/// Leaves one request, as one session does.
fn leave(inbox: &Inbox, records: usize, payload_bytes: usize) {
    let stamp = Stamp { boot: 0, monotonic_millis: 0, wall_millis: 0, wall_trusted: false };
    let payload = Bytes::from(vec![0; payload_bytes]);
    let record = NewRecord { source: "a".into(), topic: String::new(), payload, stamp };
    let records = vec![(StreamId(0), record); records];
    let permit = std::sync::Arc::clone(&inbox.room).try_acquire_many_owned(units(&records));
    let request =
        Request { records, done: oneshot::channel().0, permit: permit.expect("there is room") };
    inbox.leave(request).expect("the inbox is open");
}

/// What is gathered before the long interval is over.
fn gathered_early(inbox: &Inbox) -> usize {
    let (records, waited) = gathered(inbox, LONG);
    assert!(waited < LONG / 2, "{waited:?}");
    records
}

fn gathered(inbox: &Inbox, interval: Duration) -> (usize, Duration) {
    let begun = Instant::now();
    let requests = inbox.gather(PATIENCE, interval).requests;
    (requests.iter().map(|request| request.records.len()).sum(), begun.elapsed())
}

#[test]
fn without_an_interval_whatever_has_gathered_is_committed_at_once() {
    let inbox = Inbox::new();
    leave(&inbox, 1, 10);
    leave(&inbox, 2, 10);
    assert_eq!(gathered(&inbox, Duration::ZERO).0, 3);
}

#[test]
fn enough_records_end_the_wait_for_company() {
    let inbox = Inbox::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| gathered_early(&inbox));
        for _ in 0..8 {
            leave(&inbox, COMPANY_RECORDS / 8, 10);
        }
        assert_eq!(waiting.join().unwrap(), COMPANY_RECORDS);
    });
}

#[test]
fn enough_bytes_end_the_wait_for_company() {
    let inbox = Inbox::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| gathered_early(&inbox));
        for _ in 0..8 {
            leave(&inbox, 1, COMPANY_BYTES / 8);
        }
        assert_eq!(waiting.join().unwrap(), 8);
    });
}

#[test]
fn time_ends_the_wait_for_company_counted_from_the_first_that_came() {
    let inbox = Inbox::new();
    let interval = Duration::from_millis(60);
    leave(&inbox, 1, 10);
    let (records, waited) = gathered(&inbox, interval);
    assert_eq!(records, 1);
    assert!(waited > interval / 2, "{waited:?}");
    // What came while the disk was busy has waited already.
    leave(&inbox, 1, 10);
    inbox.waiting().since = Instant::now().checked_sub(interval);
    let (records, waited) = gathered(&inbox, interval);
    assert_eq!(records, 1);
    assert!(waited < interval / 2, "{waited:?}");
}

#[test]
fn company_that_was_enough_before_is_not_enough_again() {
    let inbox = Inbox::new();
    leave(&inbox, COMPANY_RECORDS, 10);
    assert_eq!(gathered_early(&inbox), COMPANY_RECORDS);
    leave(&inbox, 1, 10);
    let (records, waited) = gathered(&inbox, Duration::from_millis(60));
    assert_eq!(records, 1);
    assert!(waited > Duration::from_millis(30), "{waited:?}");
}

#[test]
fn a_queue_that_closes_waits_for_nobody() {
    let inbox = Inbox::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| gathered_early(&inbox));
        leave(&inbox, 1, 10);
        inbox.close();
        assert_eq!(waiting.join().unwrap(), 1);
    });
}
