//! When the server was last out of reach, as all logins of a path tell together: what was asked meanwhile and never
//! answered was lost on a way that was out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So long after it a failed login says nothing any more: while a server cannot be reached others rest for less than that
/// before they try again.
const TELLS: Duration = Duration::from_secs(30);
/// A connect that took longer than the fastest by this was not answered at first: the kernel sends its packet again after a
/// second.
const SENT_AGAIN: Duration = Duration::from_millis(900);

/// So many of the newest connects tell how fast they are.
const NEWEST: usize = 16;
/// Where logins fail oftener than so many times apart of the newest sixty-four, they always do: they say nothing of a moment.
const USUAL: u32 = 4;

/// What logins told of the way.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// The last outage.
    outage: Option<Outage>,
    /// How long the newest connects took, the newest last.
    connects: VecDeque<Duration>,
    /// Which of the newest logins failed, or were answered late: a bit of each, the newest last.
    bad: u64,
}

impl Told {
    fn note(&mut self, is_bad: bool) {
        self.bad = self.bad << 1 | u64::from(is_bad);
    }

    /// Whether logins fail again and again: those that fail one after the other are one outage.
    const fn fails_always(&self) -> bool {
        (self.bad & !(self.bad << 1)).count_ones() > USUAL
    }
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
        let mut told = self.lock();
        told.note(true);
        told.outage = Some(Outage { failed_at: Instant::now(), until: None });
    }

    /// A login reached a server that refused it.
    pub(super) fn refused(&self) {
        if let Some(outage) = &mut self.lock().outage {
            outage.until.get_or_insert_with(Instant::now);
        }
    }

    /// A login succeeded, whose connect took so long.
    pub(super) fn succeeded(&self, connect: Duration) {
        let now = Instant::now();
        let mut told = self.lock();
        let fastest = told.connects.iter().min().copied().unwrap_or(connect);
        if told.connects.len() >= NEWEST {
            told.connects.pop_front();
        }
        told.connects.push_back(connect);
        let was_sent_again = connect >= fastest + SENT_AGAIN;
        told.note(was_sent_again);
        if was_sent_again {
            told.outage = Some(Outage { failed_at: now, until: Some(now) });
        } else if let Some(outage) = &mut told.outage {
            outage.until.get_or_insert(now);
        }
    }

    /// Whether the server was out of reach at a time, or since.
    pub(super) fn was_out_since(&self, at: Instant) -> bool {
        let told = self.lock();
        let is_out = |Outage { failed_at, until }: Outage| {
            failed_at + TELLS >= at && until.is_none_or(|until| until >= at)
        };
        told.outage.is_some_and(is_out) && !told.fails_always()
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
    async fn logins_that_fail_all_the_time_say_nothing() {
        let reach = Reach::default();
        for _ in 0..9 {
            reach.failed();
        }
        assert!(reach.was_out_since(Instant::now()), "one long outage");
        let mut outages = 1;
        while reach.was_out_since(Instant::now()) {
            reach.succeeded(Duration::ZERO);
            reach.succeeded(Duration::ZERO);
            reach.failed();
            outages += 1;
        }
        assert_eq!(outages, USUAL + 1);
        (0..64).for_each(|_| reach.succeeded(Duration::ZERO));
        reach.failed();
        assert!(reach.was_out_since(Instant::now()), "they are well, and one fails");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_refuses_is_reached_and_a_way_that_grew_long_is_well() {
        let reach = Reach::default();
        reach.failed();
        reach.refused();
        advance(Duration::from_millis(1)).await;
        assert!(!reach.was_out_since(Instant::now()));
        let slow = Duration::from_millis(1300);
        reach.succeeded(Duration::from_millis(100));
        for place in 0..2 * NEWEST {
            advance(Duration::from_millis(1)).await;
            reach.succeeded(slow);
            assert_eq!(reach.was_out_since(Instant::now()), place < NEWEST, "{place}");
        }
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
