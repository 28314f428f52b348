//! The gate: no hammering. Every login of a path passes it, whoever wants it. While connecting fails, one
//! attempt at a time, and a growing rest between two; and never more than so many logins, whatever becomes
//! of them.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::{self, Pace};
use crate::domain::life::stage::Stage;

/// The first rest after a refused login: a wrong password does not get right by trying again at once.
const REST_AFTER_REFUSAL: Duration = Duration::from_secs(15);
/// The longest rest after refused logins and useless sessions: 288 attempts a day.
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);
/// The first rest after a session that broke right after its login.
const REST_AFTER_BREAK: Duration = Duration::from_secs(4);
/// The first rest after a server that cannot be reached; it doubles up to [`REST_AFTER_REFUSAL`].
const FIRST_REST: Duration = Duration::from_secs(1);
/// So many attempts may be made at once after a quiet time ...
const BURST: f64 = 60.0;
/// ... and so many a second in the long run.
const ATTEMPTS_PER_SECOND: f64 = 5.0;

/// How many attempts of so many paths together can begin within a time, at most.
#[must_use]
pub fn most_attempts(paths: usize, within: Duration) -> u64 {
    let of_one = (BURST + ATTEMPTS_PER_SECOND * within.as_secs_f64()).ceil() as u64;
    let paths = u64::try_from(paths).unwrap_or(u64::MAX);
    of_one.saturating_mul(paths).min(pace::most_attempts(within))
}

/// Lets connect attempts through, or says how long to wait.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last attempt succeeded.
    open: bool,
    /// An attempt is under way that began while the gate was not open.
    trying: bool,
    /// Failures since the last success.
    failures: u32,
    /// Sessions that logged in and were of no use, since the last one that was of some.
    useless: u32,
    /// When the last of those was found out.
    distrusted_at: Option<Instant>,
    /// Failures ever.
    failed: u64,
    /// Where the last attempt failed, until one succeeds.
    failed_at: Option<Stage>,
    /// No attempt before this.
    not_before: Option<Instant>,
    pace: Pace,
}

/// How a session that logged in proved to be of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Useless {
    /// The server refused what a session needs.
    Refused,
    /// It broke, as sessions do when a server restarts.
    Broken,
    /// Nothing was answered: as good as a server that cannot be reached.
    Silent,
}

/// No attempt may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    /// How long to wait before asking again.
    pub(crate) rest: Duration,
    /// Where the last attempt failed; `None` where none did: the first one is under way, or there were many.
    pub(crate) failed_at: Option<Stage>,
}

impl Gate {
    /// Asks to make an attempt now.
    ///
    /// # Errors
    /// How long to wait before asking again, and why.
    pub(crate) fn admit(&self) -> Result<Ticket<'_>, Closed> {
        let now = Instant::now();
        let mut state = self.lock();
        let failed_at = state.failed_at;
        let closed = |rest| Closed { rest, failed_at };
        if let Some(not_before) = state.not_before {
            let left = not_before.saturating_duration_since(now);
            if !left.is_zero() {
                return Err(closed(left));
            }
        }
        let alone = !state.open;
        if alone && state.trying {
            return Err(closed(Duration::from_millis(100)));
        }
        state.pace.take(BURST, ATTEMPTS_PER_SECOND, now).map_err(closed)?;
        state.trying |= alone;
        Ok(Ticket { gate: self, failed_before: state.failed, alone })
    }

    /// What made the failures may have been mended: the next attempt rests for none of them.
    pub(crate) fn forgive(&self) {
        let mut state = self.lock();
        (state.failures, state.useless, state.not_before) = (0, 0, None);
    }

    /// Where the last attempt failed, until one succeeds.
    pub(crate) fn failed_at(&self) -> Option<Stage> {
        self.lock().failed_at
    }

    /// A session that was let through proved to be of no use: rest as after a refusal, or at first for less
    /// where nothing was refused.
    /// `since` is when it logged in: those that proved useless together make one step.
    pub(crate) fn distrust(&self, how: Useless, since: Instant) {
        let mut state = self.lock();
        let together = state.distrusted_at.is_some_and(|at| since < at);
        let first = match how {
            Useless::Refused => REST_AFTER_REFUSAL,
            Useless::Broken | Useless::Silent => REST_AFTER_BREAK,
        };
        let before = if together { state.useless.saturating_sub(1) } else { state.useless };
        let until = Instant::now() + doubled(first, before, LONGEST_REST);
        state.open = false;
        state.useless = before.saturating_add(1);
        state.distrusted_at = Some(Instant::now());
        state.failed = state.failed.saturating_add(1);
        state.failed_at = Some(if how == Useless::Silent { Stage::Greeting } else { Stage::Auth });
        state.not_before =
            Some(state.not_before.filter(|_| together).map_or(until, |other| other.max(until)));
    }

    /// A session that was let through answered its first questions.
    pub(crate) fn trust(&self) {
        self.lock().useless = 0;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The rest after so many failures before this one.
fn doubled(first: Duration, before: u32, longest: Duration) -> Duration {
    /// Beyond this every rest is the longest.
    const MOST_DOUBLINGS: u32 = 10;
    (first * 2_u32.pow(before.min(MOST_DOUBLINGS))).min(longest)
}

/// One attempt under way. However it ends, and untold too (the attempt was given up), it frees its place.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    gate: &'a Gate,
    /// How many attempts had failed when this one began.
    failed_before: u64,
    /// It began while the gate was not open, so that no other may begin beside it.
    alone: bool,
}

impl Ticket<'_> {
    /// The attempt succeeded.
    pub(crate) fn succeeded(self) {
        let mut state = self.gate.lock();
        // Another attempt may have failed meanwhile, such as at a limit this one just met: its rest stands.
        if state.failed == self.failed_before {
            state.open = true;
            state.failures = 0;
            state.failed_at = None;
            state.not_before = None;
        }
    }

    /// The attempt failed at this stage.
    pub(crate) fn failed(self, stage: Stage) {
        let mut state = self.gate.lock();
        // Attempts that were under way together fail for one reason: only the first makes the rest grow.
        let together = state.failed != self.failed_before && !self.alone;
        let before = if together { state.failures.saturating_sub(1) } else { state.failures };
        let rest = match stage {
            Stage::Auth | Stage::Limit | Stage::Tls | Stage::Nonsense => {
                doubled(REST_AFTER_REFUSAL, before, LONGEST_REST)
            }
            Stage::Dns | Stage::Tcp | Stage::Greeting | Stage::Local => {
                doubled(FIRST_REST, before, REST_AFTER_REFUSAL)
            }
        };
        let until = Instant::now() + rest;
        state.open = false;
        state.failures = before.saturating_add(1);
        state.failed = state.failed.saturating_add(1);
        state.failed_at = Some(stage);
        state.not_before =
            Some(state.not_before.filter(|_| together).map_or(until, |other| other.max(until)));
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.alone {
            self.gate.lock().trying = false;
        }
    }
}

#[cfg(test)]
mod tests;
