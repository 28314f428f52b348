//! How fast attempts to log in follow each other: so many at once after a quiet time, and so many a second in the
//! long run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many attempts of all paths together may be made at once after a quiet time ...
const BURST: f64 = 100.0;
/// ... and so many a second in the long run: a hundred targets are not asked in one second.
const ATTEMPTS_PER_SECOND: f64 = 50.0;

/// How many attempts of all paths together can begin within a time, at most.
pub(super) fn most_attempts(within: Duration) -> u64 {
    (BURST + ATTEMPTS_PER_SECOND * within.as_secs_f64()).ceil() as u64
}

/// How many attempts were made of late.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// Attempts that are not yet made up for by time, as they stood at that moment.
    made: f64,
    at: Option<Instant>,
}

impl Pace {
    /// Counts an attempt, or says how long until one may be made: `burst` at once, and `rate` a second.
    pub(super) fn take(&mut self, burst: f64, rate: f64, now: Instant) -> Result<(), Duration> {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let made = (self.made - passed * rate).max(0.0);
        if made + 1.0 > burst {
            return Err(Duration::from_secs_f64((made + 1.0 - burst) / rate));
        }
        *self = Self { made: made + 1.0, at: Some(now) };
        Ok(())
    }
}

/// The pace of all paths of the process together.
#[derive(Debug, Clone, Default)]
pub struct LoginPace(Arc<Mutex<Pace>>);

impl LoginPace {
    /// Counts an attempt, or says how long until one may be made.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn take(&self) -> Result<(), Duration> {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(BURST, ATTEMPTS_PER_SECOND, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_paths_together_log_in_fifty_times_a_second() {
        let (first, second) = (LoginPace::default(), LoginPace::default());
        let shared = first.clone();
        let mut made = 0;
        for _ in 0..100 {
            for pace in [&first, &shared] {
                while pace.take().is_ok() {
                    made += 1;
                }
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!((590..=601).contains(&made), "{made} in ten seconds");
        assert!(second.take().is_ok(), "another process's");
    }
}
