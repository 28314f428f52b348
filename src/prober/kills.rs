//! The newest counts of KILLs that a path's sessions read: by how much the count rose over an ending is told the
//! better the shorter the time between the readings around it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use crate::domain::culprit::judgement::Kills;
use crate::domain::life::tolerance::{CONVICTS_SECONDS, READ_BEFORE_SECONDS};

/// So many readings are kept.
const KEPT: usize = 64;

/// The readings of one path.
#[derive(Debug, Default)]
pub(super) struct KillCount(Mutex<VecDeque<Reading>>);

#[derive(Debug)]
struct Reading {
    at: Instant,
    identity: Option<String>,
    kills: f64,
}

impl KillCount {
    /// A session on the server with this identity read this count no later than at this moment.
    pub(super) fn note(&self, at: Instant, identity: Option<&str>, kills: Option<f64>) {
        let Some(kills) = kills else { return };
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readings.len() >= KEPT {
            readings.pop_front();
        }
        readings.push_back(Reading { at, identity: identity.map(str::to_owned), kills });
    }

    /// By how much the count rose between the newest reading before an ending and `now`, read just after it. The
    /// session's own reading at its birth is one. `None` where nothing was read before.
    pub(super) fn rose(
        &self,
        ended: Instant,
        identity: Option<&str>,
        birth: (Instant, Option<f64>),
        now: f64,
    ) -> Option<Kills> {
        let until = ended.checked_sub(Duration::from_secs_f64(READ_BEFORE_SECONDS))?;
        let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (born_at, at_birth) = birth;
        readings
            .iter()
            .filter(|reading| reading.identity.as_deref() == identity && reading.at <= until)
            .map(|reading| (reading.at, reading.kills))
            .chain(at_birth.map(|kills| (born_at, kills)))
            .max_by_key(|(at, _)| *at)
            .and_then(|(at, before)| {
                let rose = (now - before).max(0.0) as u32;
                let read_before = ended.saturating_duration_since(at).as_secs_f64();
                // Over a long time others' sessions are killed too.
                (rose == 0 || read_before <= CONVICTS_SECONDS).then_some(Kills { rose, read_before })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_newest_reading_before_the_ending_counts() {
        let (count, begin) = (KillCount::default(), Instant::now());
        let after = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let birth = (after(55.0), Some(3.0));
        let rose = |rose, read_before| Some(Kills { rose, read_before });
        assert_eq!(count.rose(after(60.0), Some("a"), (begin, None), 5.0), None, "never read");
        assert_eq!(count.rose(after(60.0), Some("a"), birth, 3.0), rose(0, 5.0));
        assert_eq!(count.rose(after(60.0), Some("a"), birth, 5.0), rose(2, 5.0), "two were killed since");
        count.note(after(57.0), Some("a"), Some(5.0));
        assert_eq!(count.rose(after(60.0), Some("a"), birth, 5.0), rose(0, 3.0), "but before");
        count.note(after(59.9), Some("a"), Some(6.0));
        assert_eq!(count.rose(after(60.0), Some("a"), birth, 6.0), rose(1, 3.0), "read in the same moment");
        count.note(after(58.0), Some("b"), Some(90.0));
        assert_eq!(count.rose(after(60.0), Some("a"), birth, 6.0), rose(1, 3.0), "another server's count");
        let old = (begin, Some(3.0));
        assert_eq!(
            KillCount::default().rose(after(60.0), Some("a"), old, 5.0),
            None,
            "anybody's, in a minute"
        );
    }
}
