//! Whether this process runs: a tick every second. Where ticks fail to come, the process was stopped,
//! frozen or starved, and what it then takes for news is old.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::supervision::until_next;

/// How often it ticks.
const TICK: Duration = Duration::from_secs(1);
/// A tick that comes later than this is kept.
const LATE: Duration = Duration::from_millis(500);
/// So many standstills are kept.
const KEPT: usize = 16;
/// What is seen this soon after a standstill may be of it: what came meanwhile is read at once, probes that were due
/// are sent late, and answered with RST.
const AFTERMATH: Duration = Duration::from_secs(5);
/// A standstill longer than this is told.
const TOLD: Duration = Duration::from_secs(4);

/// Watches whether this process runs.
#[derive(Debug, Clone)]
pub struct Standstills(Arc<Mutex<Beats>>);

#[derive(Debug)]
struct Beats {
    last: Instant,
    /// When each standstill began and ended, newest last.
    standstills: VecDeque<(Instant, Instant)>,
}

impl Standstills {
    /// A watch, and the ticks to run for it. They end when its last clone is dropped.
    pub fn watch() -> (Self, impl Future<Output = ()> + Send + 'static) {
        let beats = Arc::new(Mutex::new(Beats { last: Instant::now(), standstills: VecDeque::new() }));
        let ticks = tick(Arc::downgrade(&beats));
        (Self(beats), ticks)
    }

    /// For how long at most, in seconds, the process stood still in or shortly before the time from a moment to
    /// now: what was seen at that moment may have happened that much earlier.
    pub(super) fn stood_still_since(&self, moment: Instant) -> f64 {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first to run after a standstill need not be the ticker.
        beats.beat(Instant::now());
        beats.stood_still_since(moment)
    }
}

async fn tick(beats: Weak<Mutex<Beats>>) {
    loop {
        sleep(until_next(TICK)).await;
        let Some(beats) = beats.upgrade() else { return };
        beats.lock().unwrap_or_else(PoisonError::into_inner).beat(Instant::now());
    }
}

impl Beats {
    fn beat(&mut self, now: Instant) {
        let paused = now.saturating_duration_since(self.last);
        if paused > TICK + LATE {
            if paused > TOLD {
                tracing::warn!(
                    event = "stood_still",
                    seconds = paused.as_secs_f64().round(),
                    "the exporter did not run for a while (stopped, frozen, or without a processor): deaths that it \
                     found only then say nothing"
                );
            }
            if self.standstills.len() >= KEPT {
                self.standstills.pop_front();
            }
            self.standstills.push_back((self.last, now));
        }
        self.last = now;
    }

    fn stood_still_since(&self, moment: Instant) -> f64 {
        self.standstills
            .iter()
            .filter(|(_, end)| *end + AFTERMATH >= moment)
            .map(|(begin, end)| end.saturating_duration_since(*begin).as_secs_f64())
            .fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_standstill_is_of_what_was_seen_in_it_or_just_after() {
        let begin = Instant::now();
        let after = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let mut beats = Beats { last: begin, standstills: VecDeque::new() };
        for tick in 1..20 {
            beats.beat(after(0.6 * f64::from(tick)));
        }
        assert_eq!(beats.stood_still_since(begin), 0.0, "ticks are a little late on a busy machine");
        beats.beat(after(31.4));
        assert_eq!(beats.stood_still_since(after(31.4)), 20.0);
        assert_eq!(beats.stood_still_since(after(32.0)), 20.0, "read just after");
        assert_eq!(beats.stood_still_since(after(36.0)), 20.0, "a probe that was due is answered with RST");
        assert_eq!(beats.stood_still_since(after(40.0)), 0.0, "of later ones it says nothing");
    }
}
