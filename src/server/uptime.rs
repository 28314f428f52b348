//! `Uptime`: it falls back when the server was restarted.

use tokio::time::Instant;

/// `Uptime` as it was between question and answer, which lie seconds apart on a bad line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uptime {
    pub(super) seconds: f64,
    pub(super) asked_at: Instant,
    pub(super) answered_at: Instant,
}

impl Uptime {
    /// Whether the server was restarted between an earlier reading and this one.
    pub(super) fn shows_restart_since(self, earlier: Self) -> bool {
        let between = self.asked_at.saturating_duration_since(earlier.answered_at);
        has_started_over(earlier.seconds, between.as_secs_f64(), self.seconds)
    }
}

/// Whether a server with an `Uptime` of `now` is not the process that had `then`, so many seconds
/// (`between`) before: its start lies later. All in seconds.
pub fn has_started_over(then: f64, between: f64, now: f64) -> bool {
    /// `Uptime` is in whole seconds, and read over a network: the start strays by this much, in seconds ...
    const SLACK: f64 = 2.0;
    /// ... and by this much more as a share of the time between: the server counts by its own clock.
    const DRIFT: f64 = 0.001;
    then + between - now > SLACK + DRIFT * between
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_restart_is_told_from_an_answer_that_comes_late() {
        let begin = Instant::now();
        let read = |asked: u64, answered: u64, seconds: f64| Uptime {
            seconds,
            asked_at: begin + Duration::from_secs(asked),
            answered_at: begin + Duration::from_secs(answered),
        };
        let first = read(0, 0, 100.0);
        assert!(!read(15, 15, 115.0).shows_restart_since(first));
        // Read by the server at once, or only when the question came through; the next is prompt.
        for late in [read(15, 19, 115.0), read(15, 19, 119.0)] {
            assert!(!late.shows_restart_since(first));
            assert!(!read(30, 30, 130.0).shows_restart_since(late));
        }
        assert!(read(15, 15, 1.0).shows_restart_since(first));
        assert!(read(300, 300, 200.0).shows_restart_since(first), "it fell back, and has grown again");
    }
}
