//! Ties the runtime's clock, which tests can pause, to the calendar.

use std::time::Duration;

use tokio::time::Instant;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    instant: Instant,
    unix: f64,
}

impl Epoch {
    /// This moment is `unix_now`, in seconds since the Unix epoch.
    pub(super) fn new(unix_now: f64) -> Self {
        Self { instant: Instant::now(), unix: unix_now }
    }

    /// Seconds since the Unix epoch at an instant.
    pub(super) fn unix(&self, at: Instant) -> f64 {
        self.unix + at.saturating_duration_since(self.instant).as_secs_f64()
    }

    /// Seconds since the Unix epoch now.
    pub(super) fn now(&self) -> f64 {
        self.unix(Instant::now())
    }

    /// The instant of a time in seconds since the Unix epoch; the past is now.
    pub(super) fn instant(&self, unix: f64) -> Instant {
        /// Beyond this nothing is planned, in seconds.
        const FAR: f64 = 1e9;
        self.instant + Duration::from_secs_f64((unix - self.unix).clamp(0.0, FAR))
    }
}
