//! What survives a restart and a reload: the observations of every path, by its name. Written as a text by
//! [`text`].
//!
//! Only what was seen is kept, not what was concluded from it, so it does not depend on the ladder or on the
//! version of the rules that read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::life::observation::History;

pub mod text;

/// The most paths that are remembered, those that left among them.
pub const MOST_PATHS: usize = 1024;

/// The most paths that left and are still remembered: of more, those that left first are forgotten.
pub const MOST_DEPARTED: usize = 256;

/// For how long a path that left is remembered, in seconds.
pub const DEPARTED_SECONDS: f64 = 86_400.0;

/// The name of a path: a target's and its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathName {
    /// The target's configured name.
    pub target: String,
    /// The path's configured name.
    pub path: String,
}

impl PathName {
    /// The name of a target's path.
    pub fn new(target: &str, path: &str) -> Self {
        Self { target: target.to_owned(), path: path.to_owned() }
    }
}

/// What is remembered of one path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RememberedPath {
    /// What was seen, in the calendar's time. Shared, so that all of it can be written while more is seen.
    pub history: Arc<History>,
    /// What it led to, as it was configured; unknown for what older versions wrote.
    pub against: Option<String>,
    /// When it left the configuration, in seconds since the Unix epoch. `None` while it is there.
    pub left_at: Option<f64>,
}

/// What is remembered of all paths.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Remembered {
    /// By name.
    pub paths: BTreeMap<PathName, RememberedPath>,
}

/// What a path takes up from before.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenUp {
    /// What was seen.
    pub history: Arc<History>,
    /// The other address that it led to before: what was measured there is dropped.
    pub dropped: Option<String>,
}

impl Remembered {
    /// A path is there that leads `against` an address: what was seen of it before, where it led to the same
    /// one; one that does not say where is taken as it is. `now` is seconds since the Unix epoch.
    pub fn take_up(&mut self, name: &PathName, against: &str, now: f64) -> TakenUp {
        self.forget_departed(now);
        let known = self.paths.entry(name.clone()).or_default();
        known.left_at = None;
        let before = known.against.replace(against.to_owned());
        let dropped = before.filter(|before| !before.eq_ignore_ascii_case(against));
        if dropped.is_some() {
            known.history = Arc::default();
        }
        TakenUp { history: Arc::clone(&known.history), dropped }
    }

    /// Keeps what was seen of a path that leads `against` an address, in the place of what was kept before.
    /// Gives whether it is kept: a path that is forgotten, or leads elsewhere by now, has nothing to say.
    pub fn keep(&mut self, name: &PathName, against: &str, history: History) -> bool {
        let known = self.paths.get_mut(name);
        let known = known.filter(|known| known.against.as_deref().is_some_and(|now| now == against));
        known.map(|known| known.history = Arc::new(history)).is_some()
    }

    /// These are the paths that are there `now` (seconds since the Unix epoch): every other one has left, if it had
    /// not before.
    pub fn retain(&mut self, there: &BTreeSet<PathName>, now: f64) {
        for (name, known) in &mut self.paths {
            known.left_at = if there.contains(name) { None } else { known.left_at.or(Some(now)) };
        }
        self.forget_departed(now);
    }

    /// Forgets the paths that left a day ago, and the first of too many that left. `now` is seconds since the
    /// Unix epoch. A calendar that was set back makes no path leave in the future.
    pub fn forget_departed(&mut self, now: f64) {
        self.paths.retain(|_, known| {
            known.left_at = known.left_at.map(|left_at| left_at.min(now));
            known.left_at.is_none_or(|left_at| now - left_at < DEPARTED_SECONDS)
        });
        let mut departed: Vec<(f64, PathName)> = self
            .paths
            .iter()
            .filter_map(|(name, known)| known.left_at.map(|left_at| (left_at, name.clone())))
            .collect();
        let there = self.paths.len() - departed.len();
        let room = MOST_PATHS.saturating_sub(there).min(MOST_DEPARTED);
        departed.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        for (_, name) in departed.into_iter().skip(room) {
            self.paths.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests;
