//! Observations: what finished lives taught about one path, oldest first and bounded.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::culprit::Culprit;
use super::ending::Ending;
use super::kind::Kind;

/// How a life ended, once it counts: voided lives are no observations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The probe was answered.
    Lived,
    /// The session was dead.
    Died {
        /// What the wire showed.
        ending: Ending,
        /// Whether the age is that of the death itself, and not only the age it was found at.
        exact: bool,
        /// Who did it.
        culprit: Culprit,
        /// Whether it strikes at this age again and again, whoever does it.
        #[serde(default)]
        recurs: bool,
    },
}

/// One finished life.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When it was seen, in seconds since the Unix epoch.
    pub at: f64,
    /// What the canary did.
    pub kind: Kind,
    /// The idle age it lived to, died at, or was found dead at, in seconds.
    pub age: f64,
    /// Its fate.
    pub fate: Fate,
}

impl Observation {
    /// Whether this is an idle canary's survival.
    pub fn is_survival(&self) -> bool {
        matches!(self.fate, Fate::Lived)
    }

    /// Whether this is a death that bounds the ages a session can be idle for: not a KILL of one
    /// session, not a restart; but a tool that kills idle sessions at one age again and again.
    pub fn is_bounding_death(&self) -> bool {
        matches!(self.fate, Fate::Died { culprit, recurs, .. } if recurs || culprit.bounds_idle_age())
    }
}

/// The most observations one path remembers. A settled path makes a few dozen an hour.
pub const HISTORY_CAPACITY: usize = 4096;

/// The observations of one path, oldest first; the oldest are forgotten beyond [`HISTORY_CAPACITY`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(VecDeque<Observation>);

impl History {
    /// Adds an observation in its place by time: a death is told only once its culprit is decided.
    pub fn push(&mut self, observation: Observation) {
        while self.0.len() >= HISTORY_CAPACITY {
            self.0.pop_front();
        }
        let later = self.0.iter().rev().take_while(|seen| seen.at > observation.at).count();
        self.0.insert(self.0.len() - later, observation);
    }

    /// Takes no observation for one of the future: the clock may have been set back. `now` is seconds
    /// since the Unix epoch.
    pub fn end_at(&mut self, now: f64) {
        self.0.iter_mut().for_each(|seen| seen.at = seen.at.min(now));
    }

    /// The observations, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Observation> + ExactSizeIterator {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut history = History::default();
        for number in 0..HISTORY_CAPACITY + 10 {
            history.push(Observation { at: number as f64, kind: Kind::Idle, age: 1.0, fate: Fate::Lived });
        }
        assert_eq!(history.len(), HISTORY_CAPACITY);
        assert_eq!(history.iter().next().map(|o| o.at), Some(10.0));
    }
}
