//! Questions that cost their sessions: no answer came, or the connection broke. What a session asks about itself
//! may all stay unknown, so none of it is worth a canary: what cost two sessions in a row rests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::roster::Roster;
use crate::domain::conduct::patience::{self, Trouble};

/// The questions of one path that cost sessions of late.
#[derive(Debug, Clone)]
pub(super) struct Questions {
    costly: Arc<Mutex<BTreeMap<&'static str, Cost>>>,
    roster: Roster,
}

#[derive(Debug)]
struct Cost {
    how: Trouble,
    /// How many times in a row; sessions that were lost together count once.
    times: u32,
    since: Instant,
    /// The session that asked last.
    thread_id: u64,
}

/// A question under way. Dropped without a word, it was not answered in time.
#[derive(Debug)]
pub struct Asking {
    questions: Questions,
    question: &'static str,
    thread_id: u64,
    begun: Instant,
    answered: bool,
    how: Trouble,
}

impl Questions {
    pub(super) fn new(roster: Roster) -> Self {
        Self { costly: Arc::default(), roster }
    }

    /// Asks this of the session with that thread id; `None` while the question rests. One that may still hang on
    /// the server is not asked again.
    pub(super) fn begin(&self, question: &'static str, thread_id: u64) -> Option<Asking> {
        let costly = self.costly.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = costly.get(question).is_some_and(|cost| {
            let left_behind = (cost.how == Trouble::Hung).then(|| self.roster.haunts(cost.thread_id));
            !patience::may_ask_again(cost.since.elapsed().as_secs_f64(), cost.times, left_behind)
        });
        (!rests).then(|| Asking {
            questions: self.clone(),
            question,
            thread_id,
            begun: Instant::now(),
            answered: false,
            how: Trouble::Hung,
        })
    }
}

impl Asking {
    /// It was answered, well or not; or the connection broke (`fatal`).
    pub fn ended(mut self, fatal: bool) {
        self.answered = !fatal;
        self.how = Trouble::Broke;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut costly = self.questions.costly.lock().unwrap_or_else(PoisonError::into_inner);
        if self.answered {
            costly.remove(self.question);
            return;
        }
        let before = costly.get(self.question);
        let together = before.is_some_and(|cost| self.begun < cost.since);
        let times = before.map_or(0, |cost| cost.times).saturating_add(u32::from(!together));
        let (how, thread_id) = (self.how, self.thread_id);
        costly.insert(self.question, Cost { how, times, since: Instant::now(), thread_id });
        drop(costly);
        let rest = patience::rest(Trouble::Broke, times);
        if !together && rest > 0.0 {
            tracing::warn!(
                event = "question_unanswered",
                question = self.question,
                times,
                rest_seconds = rest,
                "a question cost a session, and the one before: sessions live without its answer for {rest} s"
            );
        }
    }
}
