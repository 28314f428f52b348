//! The gate: no hammering. While connecting fails, one attempt at a time, and a rest between two.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Stage;

/// The rest after a refused login: a wrong password does not get right by trying again at once.
const REST_AFTER_REFUSAL: Duration = Duration::from_secs(15);
/// The rest after a session that broke right after its login.
const REST_AFTER_BREAK: Duration = Duration::from_secs(4);
/// The first rest after a server that cannot be reached; it doubles up to [`REST_AFTER_REFUSAL`].
const FIRST_REST: Duration = Duration::from_secs(1);

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
    /// Failures ever.
    failed: u64,
    /// Where the last attempt failed, until one succeeds.
    failed_at: Option<Stage>,
    /// No attempt before this.
    not_before: Option<Instant>,
}

/// No attempt may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    /// How long to wait before asking again.
    pub(crate) rest: Duration,
    /// Where the last attempt failed; `None` while the first one is under way.
    pub(crate) failed_at: Option<Stage>,
}

impl Gate {
    /// Asks to make an attempt now.
    ///
    /// # Errors
    /// How long to wait before asking again, and why.
    pub(crate) fn admit(&self) -> Result<Ticket<'_>, Closed> {
        let mut state = self.lock();
        if let Some(not_before) = state.not_before {
            let left = not_before.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(Closed { rest: left, failed_at: state.failed_at });
            }
        }
        let alone = !state.open;
        if alone {
            if state.trying {
                return Err(Closed { rest: Duration::from_millis(100), failed_at: state.failed_at });
            }
            state.trying = true;
        }
        Ok(Ticket { gate: self, failed_before: state.failed, alone })
    }

    /// A session that was let through proved to be of no use: rest as after a refusal, or for a while
    /// where it only broke (`broken`), as they do when a server restarts.
    pub(crate) fn distrust(&self, broken: bool) {
        let mut state = self.lock();
        state.open = false;
        state.failed = state.failed.saturating_add(1);
        state.failed_at = Some(Stage::Auth);
        state.not_before = Some(Instant::now() + if broken { REST_AFTER_BREAK } else { REST_AFTER_REFUSAL });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
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
            *state = State { open: true, trying: state.trying, failed: state.failed, ..State::default() };
        }
    }

    /// The attempt failed at this stage.
    pub(crate) fn failed(self, stage: Stage) {
        let mut state = self.gate.lock();
        let rest = match stage {
            Stage::Auth | Stage::Limit | Stage::Tls => REST_AFTER_REFUSAL,
            Stage::Dns | Stage::Tcp | Stage::Greeting => {
                (FIRST_REST * 2_u32.pow(state.failures.min(4))).min(REST_AFTER_REFUSAL)
            }
        };
        *state = State {
            open: false,
            trying: state.trying,
            failures: state.failures.saturating_add(1),
            failed: state.failed.saturating_add(1),
            failed_at: Some(stage),
            not_before: Some(Instant::now() + rest),
        };
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

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_rests_fifteen_seconds() {
        let gate = Gate::default();
        gate.admit().expect("the first may").failed(Stage::Auth);
        let mut attempts = 0;
        for _ in 0..600 {
            tokio::time::advance(Duration::from_millis(100)).await;
            if let Ok(ticket) = gate.admit() {
                attempts += 1;
                ticket.failed(Stage::Auth);
            }
        }
        assert_eq!(attempts, 4, "one per fifteen seconds in a minute");
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
        gate.distrust(true);
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
        gate.distrust(true);
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
