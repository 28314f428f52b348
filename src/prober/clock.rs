//! Tells a machine that was suspended from a connection that was idle.

use rustix::time::{ClockId, clock_gettime};

/// The boot-time clock's lead over the monotonic clock, which stands still while the machine is
/// suspended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ClockGap(f64);

/// A suspension shorter than this, in seconds, disturbs no idle age worth the name.
const SLACK: f64 = 1.0;

impl ClockGap {
    /// The lead now.
    pub(super) fn now() -> Self {
        let seconds = |clock| {
            let time = clock_gettime(clock);
            time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
        };
        Self(seconds(ClockId::Boottime) - seconds(ClockId::Monotonic))
    }

    /// For how long the machine was suspended between this gap and a later one, in seconds. Zero for what
    /// disturbs nothing: two clocks are never read in the same moment.
    pub(super) fn slept_until(self, later: Self) -> f64 {
        if self.differs(later) { (later.0 - self.0).max(0.0) } else { 0.0 }
    }

    /// This gap after a suspension of so many seconds.
    #[cfg(test)]
    pub(super) fn after_sleep(self, seconds: f64) -> Self {
        Self(self.0 + seconds)
    }

    /// Whether the machine was suspended since this gap was taken.
    pub(super) fn has_jumped(self) -> bool {
        self.differs(Self::now())
    }

    fn differs(self, later: Self) -> bool {
        (later.0 - self.0).abs() > SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_widens_the_gap() {
        assert!(!ClockGap::now().has_jumped());
        assert!(ClockGap(0.0).differs(ClockGap(30.0)));
        assert!(!ClockGap(100.0).differs(ClockGap(100.2)));
        assert_eq!(ClockGap(100.0).slept_until(ClockGap(7300.0)), 7200.0);
        assert_eq!(ClockGap(100.0).slept_until(ClockGap(100.2)), 0.0);
    }
}
