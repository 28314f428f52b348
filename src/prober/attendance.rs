//! Whether this process was there to see: one that was stopped (SIGSTOP, a frozen container, a starved processor) learns
//! too late what happened meanwhile, and its probes come too late. The clocks go on then, unlike in a suspension
//! of the machine ([`super::clock`]).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep};

use crate::domain::void::{Absence, was_out_of_sight};
use crate::supervision::until_next;

/// How often it is noted that the process runs.
const PERIOD: Duration = Duration::from_secs(2);
/// A pause between two notes that is longer than this, in seconds, is an absence.
const LONGEST_PAUSE: f64 = 4.0;

/// What is known of this process, which runs or does not as a whole.
static KNOWN: Mutex<Known> = Mutex::new(Known { noted: None, newest: None });

#[derive(Debug)]
struct Known {
    /// When the last note was made, in seconds of the monotonic clock; none while nobody makes notes.
    noted: Option<f64>,
    newest: Option<Absence>,
}

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clock of the system, which no test can halt.
fn monotonic() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

impl Known {
    /// The process runs now.
    fn note(&mut self, now: f64) {
        if let Some(since) = self.noted.filter(|noted| now - noted > LONGEST_PAUSE) {
            self.newest = Some(Absence { since, until: now });
            tracing::warn!(
                event = "stood_still",
                seconds = (now - since).round(),
                "the exporter did not run for a while (stopped, frozen, or without a processor): deaths that it found \
                 only then say nothing"
            );
        }
        self.noted = Some(now);
    }
}

/// Notes that the process runs, for ever.
pub async fn note_attendance() {
    /// Nobody makes notes any more.
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            known().noted = None;
        }
    }
    let _over = Over;
    loop {
        known().note(monotonic());
        sleep(until_next(PERIOD)).await;
    }
}

/// Whether the process was not there when this happened, or had just come back: then it happened at some earlier
/// moment, or because of the absence.
pub(super) fn missed(at: Instant) -> bool {
    let now = monotonic();
    let at = now - at.elapsed().as_secs_f64();
    let mut known = known();
    if known.noted.is_some() {
        // This may be the first to run again.
        known.note(now);
    }
    known.newest.is_some_and(|absence| was_out_of_sight(at, absence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pause_between_two_notes_is_an_absence() {
        let mut known = Known { noted: None, newest: None };
        for (now, newest) in [
            (100.0, None),
            (101.0, None),
            (104.9, None),
            (220.0, Some(Absence { since: 104.9, until: 220.0 })),
            (221.0, Some(Absence { since: 104.9, until: 220.0 })),
        ] {
            known.note(now);
            assert_eq!(known.newest, newest, "{now}");
        }
    }
}
