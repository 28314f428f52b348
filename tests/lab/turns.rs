//! Tests that load the whole machine take turns: each of them measures something that the load of another would spoil.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Waits for the other tests that load the machine; this one has its turn until the guard is dropped.
#[must_use = "the turn ends with the guard"]
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    // A test that failed in its turn has left nothing behind.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
