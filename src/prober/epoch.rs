//! Ties the runtime's clock, which tests can pause and nobody can set, to the calendar.

use std::time::Duration;

use tokio::time::Instant;

use super::clock::ClockGap;

/// One moment on both clocks, and from there the scale of every time that the loop keeps: seconds since
/// the Unix epoch as the calendar said at that moment, plus all that has passed since.
///
/// The scale never goes back, and does not follow a calendar that is set: an observation stays before the
/// next one, and a rest lasts as long as it says. A machine that was suspended finds the time gone on by
/// as much as it slept, for so much did pass, while idle ages count only what the runtime's clock did.
///
/// What people and files are told is [tied to the calendar](Self::behind) as it is when they are told: a
/// calendar that was set forward by an hour moves every time there by that hour.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    instant: Instant,
    unix: f64,
    gap: ClockGap,
}

impl Epoch {
    /// This moment is `unix_now`, in seconds since the Unix epoch.
    pub fn new(unix_now: f64) -> Self {
        Self { instant: Instant::now(), unix: unix_now, gap: ClockGap::now() }
    }

    /// The time of an instant on this scale, in seconds. Instants from before a suspension are taken to lie
    /// as far back as the runtime's clock says.
    pub fn unix(&self, at: Instant) -> f64 {
        self.unix_with(at, ClockGap::now())
    }

    fn unix_with(&self, at: Instant, gap: ClockGap) -> f64 {
        self.unix + at.saturating_duration_since(self.instant).as_secs_f64() + self.gap.slept_until(gap)
    }

    /// The time now on this scale, in seconds.
    pub fn now(&self) -> f64 {
        self.unix(Instant::now())
    }

    /// The instant of a time on this scale, in seconds; the past is the epoch itself.
    pub(super) fn instant(&self, unix: f64) -> Instant {
        self.instant_with(unix, ClockGap::now())
    }

    fn instant_with(&self, unix: f64, gap: ClockGap) -> Instant {
        /// Beyond this nothing is planned, in seconds.
        const FAR: f64 = 1e9;
        let passed = unix - self.unix - self.gap.slept_until(gap);
        self.instant + Duration::from_secs_f64(passed.clamp(0.0, FAR))
    }

    /// How far this scale is behind a calendar that says `unix_now` (seconds since the Unix epoch) at this
    /// moment: what to add to one of its times to tell it to people. Whole seconds, zero while nobody has
    /// set the calendar; below zero where it was set back.
    pub fn behind(&self, unix_now: f64) -> f64 {
        (unix_now - self.now()).round()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: f64 = 1.8e9;
    const HOUR: f64 = 3600.0;

    #[tokio::test(start_paused = true)]
    async fn a_suspension_of_two_hours_goes_by_on_the_scale_and_adds_to_no_idle_age() {
        let epoch = Epoch::new(START);
        let awake = ClockGap::now();
        let slept = awake.after_sleep(2.0 * HOUR);
        let born = Instant::now();
        tokio::time::advance(Duration::from_secs(100)).await;
        let seen = epoch.unix_with(Instant::now(), awake);
        assert_eq!(seen, START + 100.0);
        // The machine sleeps here: the runtime's clock stands still.
        tokio::time::advance(Duration::from_secs(50)).await;
        let now = epoch.unix_with(Instant::now(), slept);
        assert!((now - (START + 150.0 + 2.0 * HOUR)).abs() < 0.01, "{now}");
        // As the calendar has it: the observation is two hours and fifty seconds old.
        let calendar = START + 150.0 + 2.0 * HOUR;
        assert!((calendar - (now - seen) - (START + 100.0)).abs() < 0.01);
        // A canary's idle age does not count the sleep, whichever clock is asked.
        let idle = now - epoch.unix_with(born, slept);
        assert!((idle - 150.0).abs() < 0.01, "{idle}");
        // A rest of an hour from now takes an hour.
        let rest = epoch.instant_with(now + HOUR, slept).duration_since(Instant::now());
        assert!((rest.as_secs_f64() - HOUR).abs() < 0.01, "{rest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_calendar_that_is_set_moves_what_is_told_and_nothing_else() {
        let epoch = Epoch::new(START);
        tokio::time::advance(Duration::from_secs(100)).await;
        let seen = epoch.now();
        tokio::time::advance(Duration::from_secs(500)).await;
        assert_eq!(epoch.now() - seen, 500.0);
        // Slewed by a little: as told before, to the last digit.
        assert_eq!(epoch.behind(START + 600.3), 0.0);
        for step in [HOUR, -HOUR] {
            let calendar = START + 600.0 + step;
            assert_eq!(seen + epoch.behind(calendar), calendar - 500.0);
        }
        assert_eq!(epoch.now() - seen, 500.0);
    }
}
