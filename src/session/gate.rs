//! The gate: no hammering. Every login of a path passes it, whoever wants it. While connecting fails, one
//! attempt at a time, and a growing rest between two; and never more than so many logins, whatever becomes
//! of them.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

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

/// How many attempts can begin within a time, at most.
#[must_use]
pub fn most_attempts(within: Duration) -> u64 {
    (BURST + ATTEMPTS_PER_SECOND * within.as_secs_f64()).ceil() as u64
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

/// How many attempts were made of late.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// Attempts that are not yet made up for by time, as they stood at that moment.
    made: f64,
    at: Option<Instant>,
}

impl Pace {
    /// Counts an attempt, or says how long until one may be made.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let made = (self.made - passed * ATTEMPTS_PER_SECOND).max(0.0);
        if made + 1.0 > BURST {
            return Err(Duration::from_secs_f64((made + 1.0 - BURST) / ATTEMPTS_PER_SECOND));
        }
        *self = Self { made: made + 1.0, at: Some(now) };
        Ok(())
    }
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
        state.pace.take(now).map_err(closed)?;
        state.trying |= alone;
        Ok(Ticket { gate: self, failed_before: state.failed, alone })
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
mod tests {
    use super::*;

    /// The rests that stand after one thing after the other, each once the rest before it is over.
    async fn rests(gate: &Gate, count: usize, happens: impl Fn(Ticket<'_>)) -> Vec<u64> {
        let mut rests = Vec::new();
        for _ in 0..count {
            happens(gate.admit().expect("the rest is over"));
            let Closed { rest, .. } = gate.admit().expect_err("rests");
            rests.push(rest.as_secs());
            tokio::time::advance(rest).await;
        }
        rests
    }

    #[tokio::test(start_paused = true)]
    async fn refused_logins_are_tried_ever_more_rarely() {
        for stage in [Stage::Auth, Stage::Limit, Stage::Tls, Stage::Nonsense] {
            let gate = Gate::default();
            let refused = rests(&gate, 7, |ticket| ticket.failed(stage)).await;
            assert_eq!(refused, [15, 30, 60, 120, 240, 300, 300]);
            gate.admit().expect("the rest is over").succeeded();
            let again = rests(&gate, 2, |ticket| ticket.failed(stage)).await;
            assert_eq!(again, [15, 30], "a success ends the growth");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_day_of_a_wrong_password_is_about_three_hundred_logins() {
        let (gate, begun, mut attempts) = (Gate::default(), Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(86_400) {
            match gate.admit() {
                Ok(ticket) => {
                    attempts += 1;
                    ticket.failed(Stage::Auth);
                }
                Err(Closed { rest, .. }) => tokio::time::advance(rest).await,
            }
        }
        assert!(attempts < 300, "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_break_after_their_login_are_tried_ever_more_rarely() {
        let gate = Gate::default();
        let broke = rests(&gate, 8, |ticket| {
            ticket.succeeded();
            gate.distrust(Useless::Broken, Instant::now());
        })
        .await;
        assert_eq!(broke, [4, 8, 16, 32, 64, 128, 256, 300]);
        gate.admit().expect("the rest is over").succeeded();
        gate.trust();
        gate.distrust(Useless::Refused, Instant::now());
        assert_eq!(gate.admit().expect_err("rests").rest, REST_AFTER_REFUSAL, "a good one ends the growth");
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_prove_useless_together_make_one_step() {
        let gate = Gate::default();
        let since = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        (0..4).for_each(|_| gate.distrust(Useless::Silent, since));
        assert_eq!(gate.admit().expect_err("rests").rest, REST_AFTER_BREAK);
        gate.distrust(Useless::Silent, Instant::now());
        assert_eq!(gate.admit().expect_err("rests").rest, 2 * REST_AFTER_BREAK);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_together_make_one_step() {
        let gate = Gate::default();
        gate.admit().expect("the first may").succeeded();
        let tickets = [0, 1, 2, 3].map(|_| gate.admit().expect("an open gate lets all through"));
        tickets.into_iter().for_each(|ticket| ticket.failed(Stage::Limit));
        assert_eq!(gate.admit().expect_err("rests").rest, REST_AFTER_REFUSAL);
    }

    #[tokio::test(start_paused = true)]
    async fn no_fate_of_logins_makes_more_than_a_burst_and_five_a_second() {
        for fail in [false, true] {
            let (gate, begun, mut attempts) = (Gate::default(), Instant::now(), 0_u32);
            while begun.elapsed() < Duration::from_secs(60) {
                while let Ok(ticket) = gate.admit() {
                    attempts += 1;
                    ticket.succeeded();
                    if fail {
                        gate.distrust(Useless::Broken, Instant::now());
                    }
                }
                tokio::time::advance(Duration::from_millis(10)).await;
            }
            assert!(attempts <= 361, "{attempts} in a minute");
            assert!(fail || attempts >= 350, "{attempts}: the pace is not slower than it says");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_logins_are_no_failure() {
        let gate = Gate::default();
        for _ in 0..60 {
            gate.admit().expect("a burst may").succeeded();
        }
        let closed = gate.admit().expect_err("the burst is over");
        assert_eq!(closed, Closed { rest: Duration::from_millis(200), failed_at: None });
        tokio::time::advance(closed.rest).await;
        assert!(gate.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_until_one_succeeds() {
        let gate = Gate::default();
        let first = gate.admit().expect("the first may");
        let waiting = gate.admit().expect_err("the second waits");
        assert_eq!(waiting.failed_at, None, "nothing has failed");
        first.succeeded();
        let (second, third) = (gate.admit(), gate.admit());
        assert!(second.is_ok() && third.is_ok(), "an open gate lets all through");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_that_began_before_a_failure_does_not_end_its_rest() {
        let gate = Gate::default();
        gate.admit().expect("the first may").succeeded();
        let (slow, refused) = (gate.admit().expect("may"), gate.admit().expect("may"));
        refused.failed(Stage::Limit);
        slow.succeeded();
        let closed = Closed { rest: REST_AFTER_REFUSAL, failed_at: Some(Stage::Limit) };
        assert_eq!(gate.admit().err(), Some(closed));
        tokio::time::advance(REST_AFTER_REFUSAL).await;
        gate.admit().expect("the rest is over").succeeded();
        let (one, two) = (gate.admit(), gate.admit());
        assert!(one.is_ok() && two.is_ok(), "open again");
    }

    #[tokio::test(start_paused = true)]
    async fn distrust_during_an_attempt_that_succeeds_does_not_lock_the_gate() {
        let gate = Gate::default();
        gate.admit().expect("the first may").failed(Stage::Tcp);
        tokio::time::advance(FIRST_REST).await;
        let ticket = gate.admit().expect("the rest is over");
        gate.distrust(Useless::Broken, Instant::now());
        ticket.succeeded();
        tokio::time::advance(REST_AFTER_BREAK).await;
        gate.admit().expect("the rest is over").succeeded();
        let (one, two) = (gate.admit(), gate.admit());
        assert!(one.is_ok() && two.is_ok(), "open again");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_attempt_that_is_alone_frees_its_place() {
        let gate = Gate::default();
        gate.admit().expect("the first may").succeeded();
        let tickets = [0, 1, 2].map(|_| gate.admit().expect("an open gate lets all through"));
        gate.distrust(Useless::Broken, Instant::now());
        tokio::time::advance(REST_AFTER_BREAK).await;
        let alone = gate.admit().expect("the rest is over");
        let busy = Closed { rest: Duration::from_millis(100), failed_at: Some(Stage::Auth) };
        let [given_up, late, refused] = tickets;
        drop(given_up);
        assert_eq!(gate.admit().err(), Some(busy), "the one attempt is under way");
        late.succeeded();
        assert_eq!(gate.admit().err(), Some(busy), "a success from before the failure says nothing");
        refused.failed(Stage::Auth);
        tokio::time::advance(REST_AFTER_REFUSAL).await;
        assert_eq!(gate.admit().err(), Some(busy), "it still is under way");
        drop(alone);
        assert!(gate.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_server_is_tried_ever_more_rarely() {
        let gate = Gate::default();
        let mut rests = Vec::new();
        for _ in 0..6 {
            let ticket = gate.admit().expect("rest is over");
            ticket.failed(Stage::Tcp);
            let Closed { rest, failed_at } = gate.admit().expect_err("rests");
            assert_eq!(failed_at, Some(Stage::Tcp));
            rests.push(rest.as_secs());
            tokio::time::advance(rest).await;
        }
        assert_eq!(rests, [1, 2, 4, 8, 15, 15]);
        drop(gate.admit().expect("may"));
        assert!(gate.admit().is_ok(), "a given-up attempt frees its place");
    }
}
