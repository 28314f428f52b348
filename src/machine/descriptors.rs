//! The limit on open files: raised as far as it goes, large enough for the budget or told at the start, and shared
//! out: what the budget and all the rest may need is never the clients' of the pages.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::session::most_attempts;

/// What one session needs beside its real socket while it is opened: both ends of the tap's, and its listening one.
/// A canary that is born holds the real one alone.
const TO_OPEN: u64 = 3;
/// What the pages need at least: their clients' sockets.
const PAGES: u64 = 128;
/// What all the rest needs: the log, files, the runtime, look-ups of names, both ends of the tap of the witness and of
/// the server view.
const REST: u64 = 64;

/// The budget does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--canary.max-connections: {sessions} connections need {needed} open files (one each, {TO_OPEN} more for each of the {opened} that may be opened \
     at once, {PAGES} for the pages, {REST} for the rest), and this process may have {limit}: raise the hard limit (LimitNOFILE= of its service, ulimit -Hn), or lower the flag"
)]
pub struct TooFewDescriptors {
    /// The budget.
    pub sessions: usize,
    /// How many of them may be opened at once.
    pub opened: u64,
    /// How many descriptors it needs with all the rest.
    pub needed: u64,
    /// How many there may be.
    pub limit: u64,
}

/// Raises the soft limit to the hard one, checks that so many sessions fit, and gives how many descriptors are left
/// for the clients of the pages. `probe_timeout` is how long a connect may take, and the first questions after it.
///
/// # Errors
/// When they do not.
pub fn make_room(sessions: usize, probe_timeout: Duration) -> Result<u64, TooFewDescriptors> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    left_for_pages(sessions, most_attempts(probe_timeout.saturating_mul(2)), limit)
}

/// No limit at all is `None`.
fn left_for_pages(sessions: usize, attempts: u64, limit: Option<u64>) -> Result<u64, TooFewDescriptors> {
    let limit = limit.unwrap_or(u64::MAX);
    let held = u64::try_from(sessions).unwrap_or(u64::MAX);
    let opened = held.min(attempts);
    let others = held.saturating_add(opened.saturating_mul(TO_OPEN)).saturating_add(REST);
    match limit.checked_sub(others) {
        Some(pages) if pages >= PAGES => Ok(pages),
        _ => Err(TooFewDescriptors { sessions, opened, needed: others.saturating_add(PAGES), limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_does_not_fit_is_told_and_what_it_leaves_is_for_the_pages() {
        assert_eq!(left_for_pages(12, 160, Some(1024)), Ok(912));
        assert_eq!(left_for_pages(12, 160, Some(240)), Ok(128));
        assert!(left_for_pages(1_000_000, 160, None).is_ok());
        let error = TooFewDescriptors { sessions: 12, opened: 12, needed: 240, limit: 239 };
        assert_eq!(left_for_pages(12, 160, Some(239)), Err(error));
        // Of many, most are held: one each.
        assert_eq!(left_for_pages(5_000, 160, Some(6_000)), Ok(6_000 - 5_000 - 480 - 64));
        assert!(left_for_pages(usize::MAX, 160, Some(u64::MAX - 1)).is_err());
    }
}
