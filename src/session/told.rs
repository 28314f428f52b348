//! What was said once need not be said again: every login would repeat it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The things that were said.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeSet<&'static str>>);

impl Told {
    /// Whether this is said for the first time.
    pub(super) fn first(&self, what: &'static str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(what)
    }
}
