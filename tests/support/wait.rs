//! Bounded polling. Every wait of the tests goes through here, so none can hang.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Polls until the condition holds; panics with `what` if it does not within `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

/// Polls until there is a value; panics with `what` if there is none within `limit`.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let Some(found) = poll(limit, &mut probe) else {
        panic!("waited {limit:?} in vain: {what}");
    };
    found
}

/// Whether the condition holds at every look for as long as `span`.
pub fn holds_for(span: Duration, mut condition: impl FnMut() -> bool) -> bool {
    poll(span, || (!condition()).then_some(())).is_none()
}

/// Polls until there is a value or the time is up.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
