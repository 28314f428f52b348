//! Waiting for something to become true, with a deadline and a name for the failure.

use std::thread;
use std::time::{Duration, Instant};

/// Asks `probe` every 20 ms until it answers; panics with `what` when `limit` has passed.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
