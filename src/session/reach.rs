//! When the server was last out of reach, as all logins of a path tell together: what was asked meanwhile and never
//! answered was lost on a way that was out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So long after it a failed login says nothing any more: others rest for no longer before they try again.
const TELLS: Duration = Duration::from_secs(30);
/// A connect that took longer than the fastest by this was not answered at first: the kernel sends its packet again after a
/// second.
const SENT_AGAIN: Duration = Duration::from_millis(900);

/// What logins told of the way.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// The last outage.
    outage: Option<Outage>,
    /// How long the fastest connect took.
    fastest: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Outage {
    /// When a login failed last.
    failed_at: Instant,
    /// When one succeeded after it.
    until: Option<Instant>,
}

impl Reach {
    /// A login did not reach the server.
    pub(super) fn failed(&self) {
        self.lock().outage = Some(Outage { failed_at: Instant::now(), until: None });
    }

    /// A login reached the server, whose connect took so long.
    pub(super) fn succeeded(&self, connect: Duration) {
        let now = Instant::now();
        let mut told = self.lock();
        let fastest = told.fastest.map_or(connect, |fastest| fastest.min(connect));
        told.fastest = Some(fastest);
        if connect >= fastest + SENT_AGAIN {
            told.outage = Some(Outage { failed_at: now, until: Some(now) });
        } else if let Some(outage) = &mut told.outage {
            outage.until.get_or_insert(now);
        }
    }

    /// Whether the server was out of reach at a time, or since.
    pub(super) fn was_out_since(&self, at: Instant) -> bool {
        self.lock().outage.is_some_and(|Outage { failed_at, until }| {
            failed_at + TELLS >= at && until.is_none_or(|until| until >= at)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_out_from_a_login_that_fails_until_one_succeeds() {
        let (reach, second) = (Reach::default(), Duration::from_secs(1));
        assert!(!reach.was_out_since(Instant::now()));
        let before = Instant::now();
        advance(second).await;
        reach.failed();
        advance(second).await;
        let meanwhile = Instant::now();
        assert!(reach.was_out_since(before) && reach.was_out_since(meanwhile));
        reach.succeeded(Duration::ZERO);
        advance(second).await;
        reach.succeeded(Duration::ZERO);
        assert!(reach.was_out_since(before) && reach.was_out_since(meanwhile));
        assert!(!reach.was_out_since(Instant::now()), "it is well again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connect_that_was_answered_late_was_not_answered_at_first() {
        let (reach, asked) = (Reach::default(), Instant::now());
        reach.succeeded(Duration::from_millis(1300));
        assert!(!reach.was_out_since(asked), "a long way");
        reach.succeeded(Duration::from_millis(300));
        assert!(!reach.was_out_since(asked));
        reach.succeeded(Duration::from_millis(1210));
        assert!(reach.was_out_since(asked));
        advance(Duration::from_millis(1)).await;
        assert!(!reach.was_out_since(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_failed_long_ago_says_nothing_of_now() {
        let reach = Reach::default();
        reach.failed();
        advance(TELLS).await;
        assert!(reach.was_out_since(Instant::now()));
        advance(Duration::from_millis(1)).await;
        assert!(!reach.was_out_since(Instant::now()));
    }
}
