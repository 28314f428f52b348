//! Runs a row of the table as often as asked, a few at a time.

use std::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex, PoisonError};
use std::{env, panic, thread};

/// How often each row runs; once, if it is not set.
const RUNS: &str = "MYSQL_CANARY_TRUTH_RUNS";
/// How many runs of all rows together are under way at most: they mostly sleep, but each has a server.
const AT_ONCE: usize = 12;

static FREE: Mutex<usize> = Mutex::new(AT_ONCE);
static FREED: Condvar = Condvar::new();

/// Runs a row; panics with the number of failures, each told above.
#[track_caller]
pub(super) fn repeat(row: fn()) {
    let runs: usize = match env::var(RUNS) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{RUNS} is {text:?}, not a number")),
        Err(_) => 1,
    };
    let failures = thread::scope(|scope| {
        let threads: Vec<_> = (0..runs).map(|_| scope.spawn(move || run_in_turn(row))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap_or_else(Err).err()).count()
    });
    assert!(failures == 0, "{failures} of {runs} runs failed");
}

fn run_in_turn(row: fn()) -> thread::Result<()> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    while *free == 0 {
        free = FREED.wait(free).unwrap_or_else(PoisonError::into_inner);
    }
    *free -= 1;
    drop(free);
    let outcome = panic::catch_unwind(AssertUnwindSafe(row));
    *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    FREED.notify_one();
    outcome
}
