//! The limit on open files: raised as far as it goes, large enough for the budget or told at the start, and shared
//! out: what the budget and all the rest may need is never the clients' of the pages.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What one session needs beside its real socket while it is opened: both ends of the tap's, and its listening one.
/// A canary that is born holds the real one alone.
const TO_OPEN: u64 = 3;
/// What the pages need at least: their clients' sockets.
const PAGES: u64 = 128;
/// What a session of a driver that stays needs beside its real socket: both ends of the tap's.
const DRIVEN: u64 = 2;
/// What all the rest needs: the log, files, the runtime, look-ups of names.
const REST: u64 = 60;

/// What may be open at once, beside the pages and what is the process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Sessions: the sum of all budgets.
    pub sessions: usize,
    /// How many of them may be opened at once.
    pub attempts: u64,
    /// How many of them stay with their driver: the witness of each path, the server view of each target.
    pub driven: usize,
}

/// The budget does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{sessions} connections (--canary.max-connections, or canary.max_connections of each path in a file) need {needed} open files (one each, {TO_OPEN} more for each of the {opened} that may be opened \
     at once, {PAGES} for the pages, {rest} for the rest), and this process may have {limit}: raise the hard limit (LimitNOFILE= of its service, ulimit -Hn), or let it hold fewer connections"
)]
pub struct TooFewDescriptors {
    /// The budget.
    pub sessions: usize,
    /// How many of them may be opened at once.
    pub opened: u64,
    /// What all else needs but the pages.
    pub rest: u64,
    /// How many descriptors it needs with all the rest.
    pub needed: u64,
    /// How many there may be.
    pub limit: u64,
}

/// Raises the soft limit to the hard one, checks that what is wanted fits, and gives how many descriptors are left
/// for the clients of the pages.
///
/// # Errors
/// When they do not.
pub fn make_room(wanted: Wanted) -> Result<u64, TooFewDescriptors> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    left_for_pages(wanted, limit)
}

/// No limit at all is `None`.
fn left_for_pages(wanted: Wanted, limit: Option<u64>) -> Result<u64, TooFewDescriptors> {
    let Wanted { sessions, attempts, driven } = wanted;
    let limit = limit.unwrap_or(u64::MAX);
    let held = u64::try_from(sessions).unwrap_or(u64::MAX);
    let opened = held.min(attempts);
    let rest = REST.saturating_add(u64::try_from(driven).unwrap_or(u64::MAX).saturating_mul(DRIVEN));
    let others = held.saturating_add(opened.saturating_mul(TO_OPEN)).saturating_add(rest);
    match limit.checked_sub(others) {
        Some(pages) if pages >= PAGES => Ok(pages),
        _ => Err(TooFewDescriptors { sessions, opened, rest, needed: others.saturating_add(PAGES), limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_does_not_fit_is_told_and_what_it_leaves_is_for_the_pages() {
        let left = |sessions, limit| left_for_pages(Wanted { sessions, attempts: 160, driven: 2 }, limit);
        assert_eq!(left(12, Some(1024)), Ok(912));
        assert_eq!(left(12, Some(240)), Ok(128));
        assert!(left(1_000_000, None).is_ok());
        let error = TooFewDescriptors { sessions: 12, opened: 12, rest: 64, needed: 240, limit: 239 };
        assert_eq!(left(12, Some(239)), Err(error));
        // Of many, most are held: one each.
        assert_eq!(left(5_000, Some(6_000)), Ok(6_000 - 5_000 - 480 - 64));
        assert!(left(usize::MAX, Some(u64::MAX - 1)).is_err());
        // A hundred targets of two paths: the witness of each path and the server view of each target stay driven.
        let fleet = Wanted { sessions: 2_400, attempts: 600, driven: 300 };
        assert_eq!(left_for_pages(fleet, Some(6_000)), Ok(6_000 - 2_400 - 1_800 - 660));
    }
}
