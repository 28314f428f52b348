//! The limit on open files: raised as far as it goes, and large enough for the budget or told at the start.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What one session needs: the real socket, and both ends of the tap's.
const PER_SESSION: u64 = 3;
/// What the pages may need: their clients' sockets.
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

/// Raises the soft limit to the hard one, and checks that so many sessions fit.
///
/// # Errors
/// When they do not.
pub fn make_room(sessions: usize) -> Result<(), TooFewDescriptors> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    check(sessions, limit)
}

/// No limit at all is `None`.
fn check(sessions: usize, limit: Option<u64>) -> Result<(), TooFewDescriptors> {
    let needed = u64::try_from(sessions).unwrap_or(u64::MAX).saturating_mul(PER_SESSION);
    let needed = needed.saturating_add(PAGES + REST);
    match limit {
        Some(limit) if limit < needed => Err(TooFewDescriptors { sessions, needed, limit }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_does_not_fit_is_told() {
        assert_eq!(check(12, Some(1024)), Ok(()));
        assert_eq!(check(12, Some(228)), Ok(()));
        assert_eq!(check(1_000_000, None), Ok(()));
        let error = TooFewDescriptors { sessions: 12, needed: 228, limit: 227 };
        assert_eq!(check(12, Some(227)), Err(error));
        assert!(check(usize::MAX, Some(u64::MAX - 1)).is_err());
    }
}
