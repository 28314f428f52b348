//! The limit on open files: raised as far as it goes, large enough for the budget or told at the start, and shared
//! out: what the budget and all the rest may need is never the clients' of the pages.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What one session needs while it is opened: the real socket, both ends of the tap's, and its listening one. A canary
/// that is born holds the real one alone.
const PER_SESSION: u64 = 4;
/// What the pages need at least: their clients' sockets.
const PAGES: u64 = 128;
/// What all the rest needs: the log, files, the runtime, look-ups of names, sessions that are being opened.
const REST: u64 = 64;

/// The budget does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--canary.max-connections: {sessions} connections need {needed} open files ({PER_SESSION} each, {PAGES} for the pages, {REST} for the rest), \
     and this process may have {limit}: raise the hard limit (LimitNOFILE= of its service, ulimit -Hn), or lower the flag"
)]
pub struct TooFewDescriptors {
    /// The budget.
    pub sessions: usize,
    /// How many descriptors it needs with all the rest.
    pub needed: u64,
    /// How many there may be.
    pub limit: u64,
}

/// Raises the soft limit to the hard one, checks that so many sessions fit, and gives how many descriptors are left
/// for the clients of the pages.
///
/// # Errors
/// When they do not.
pub fn make_room(sessions: usize) -> Result<u64, TooFewDescriptors> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    left_for_pages(sessions, limit)
}

/// No limit at all is `None`.
fn left_for_pages(sessions: usize, limit: Option<u64>) -> Result<u64, TooFewDescriptors> {
    let limit = limit.unwrap_or(u64::MAX);
    let sessions_need = u64::try_from(sessions).unwrap_or(u64::MAX).saturating_mul(PER_SESSION);
    let others = sessions_need.saturating_add(REST);
    match limit.checked_sub(others) {
        Some(pages) if pages >= PAGES => Ok(pages),
        _ => Err(TooFewDescriptors { sessions, needed: others.saturating_add(PAGES), limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_does_not_fit_is_told_and_what_it_leaves_is_for_the_pages() {
        assert_eq!(left_for_pages(12, Some(1024)), Ok(912));
        assert_eq!(left_for_pages(12, Some(240)), Ok(128));
        assert!(left_for_pages(1_000_000, None).is_ok());
        let error = TooFewDescriptors { sessions: 12, needed: 240, limit: 239 };
        assert_eq!(left_for_pages(12, Some(239)), Err(error));
        assert!(left_for_pages(usize::MAX, Some(u64::MAX - 1)).is_err());
    }
}
