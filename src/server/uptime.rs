//! `Uptime` as the server view reads it, round by round.

use tokio::time::Instant;

use crate::domain::culprit::restart::{Glimpse, has_restarted};

/// `Uptime` as it was between question and answer, which lie seconds apart on a bad line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uptime {
    pub(super) seconds: f64,
    pub(super) asked_at: Instant,
    pub(super) answered_at: Instant,
    /// When the session that read it was opened: no two are opened in one instant.
    pub(super) opened_at: Instant,
    /// That session's thread id.
    pub(super) thread_id: u64,
}

impl Uptime {
    /// Whether the server was restarted between an earlier reading and this one. One that was has no session
    /// from before.
    pub(super) fn shows_restart_since(self, earlier: Self) -> bool {
        let between = self.asked_at.saturating_duration_since(earlier.answered_at);
        self.opened_at != earlier.opened_at
            && has_restarted(&earlier.glimpse(), &self.glimpse(), between.as_secs_f64())
    }

    fn glimpse(self) -> Glimpse {
        Glimpse { uptime: Some(self.seconds), identity: None, thread_id: Some(self.thread_id) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_restart_is_told_from_an_answer_that_comes_late_and_from_a_clock_that_was_set() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let read = |opened: u64, asked: u64, answered: u64, seconds: f64| Uptime {
            seconds,
            asked_at: after(asked),
            answered_at: after(answered),
            opened_at: after(opened),
            thread_id: 7 + opened,
        };
        let first = read(0, 0, 0, 100.0);
        assert!(!read(1, 15, 15, 115.0).shows_restart_since(first));
        // Read by the server at once, or only when the question came through; the next is prompt.
        for late in [read(1, 15, 19, 115.0), read(1, 15, 19, 119.0)] {
            assert!(!late.shows_restart_since(first));
            assert!(!read(2, 30, 30, 130.0).shows_restart_since(late));
        }
        assert!(read(1, 15, 15, 1.0).shows_restart_since(first));
        assert!(read(1, 300, 300, 200.0).shows_restart_since(first), "it fell back, and has grown again");
        assert!(!read(1, 15, 15, 85.0).shows_restart_since(first), "the clock was set back");
        assert!(!read(0, 15, 15, 1.0).shows_restart_since(first), "the session of before lives on");
    }
}
