//! Observations: what finished lives taught about one path, oldest first and bounded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::culprit::Culprit;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;

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
        /// Whether the server's count of KILLs rose with it; `None` where that was not read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        killed: Option<bool>,
    },
}

/// One finished life.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When it was at this age: probed, or heard to end; in seconds since the Unix epoch.
    pub at: f64,
    /// What the canary did.
    pub kind: Kind,
    /// The idle age it lived to, died at, or was found dead at, in seconds.
    pub age: f64,
    /// Its fate.
    pub fate: Fate,
    /// Which of the servers behind the path it was on, by its number in the [`History`]; `None` where no
    /// server told its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<u16>,
}

impl Observation {
    /// When the life began, in seconds since the Unix epoch.
    pub fn born(&self) -> f64 {
        self.at - self.age
    }

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

/// The most observations one path remembers: a day and more of a settled path.
pub const HISTORY_CAPACITY: usize = 4096;

/// So many lives, and so many deaths, of each kind are remembered however old: a limit of a day and its
/// twins are looked at rarely, and the short rungs make hundreds of observations meanwhile.
const KEPT_OF_EACH: usize = 64;

/// So many servers are told apart behind one path; the names of more are not kept.
pub const MOST_SERVERS: usize = 32;

/// So many of the newest observations tell which servers are behind a path now.
pub const NEWEST_OF_SERVERS: usize = 256;

/// The longest name of a server that is kept, in characters: a UUID has 36.
const LONGEST_NAME: usize = 64;

/// The observations of one path, oldest first. Beyond [`HISTORY_CAPACITY`] the oldest is forgotten of those
/// that are not the newest few of their sort.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    seen: VecDeque<Observation>,
    /// How many observations were ever told.
    #[serde(skip)]
    told: usize,
    /// The names that servers give themselves, by number. Kept beside the observations in the state file.
    #[serde(skip)]
    servers: Vec<String>,
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.seen == other.seen && self.servers == other.servers
    }
}

impl History {
    /// Adds an observation in its place by time: a death is told only once its culprit is decided.
    pub fn push(&mut self, observation: Observation) {
        self.told += 1;
        while self.seen.len() >= HISTORY_CAPACITY {
            self.forget_one();
        }
        let later = self.seen.iter().rev().take_while(|seen| seen.at > observation.at).count();
        self.seen.insert(self.seen.len() - later, observation);
    }

    /// Forgets the oldest observation that its sort can spare, and what it had outweighed.
    fn forget_one(&mut self) {
        let sort = |seen: &Observation| (seen.kind, seen.is_survival());
        let mut counts: BTreeMap<(Kind, bool), usize> = BTreeMap::new();
        self.seen.iter().for_each(|seen| *counts.entry(sort(seen)).or_default() += 1);
        let spare = |seen: &Observation| counts.get(&sort(seen)).is_some_and(|count| *count > KEPT_OF_EACH);
        // One is always there to spare: the sorts are few.
        let index = self.seen.iter().position(spare).unwrap_or(0);
        let Some(gone) = self.seen.remove(index) else { return };
        // A death below a survival, or a survival above a death, counts no more once the other came, and must
        // not count again when that is forgotten.
        let mut place = 0;
        self.seen.retain(|seen| {
            place += 1;
            let is_outweighed = place <= index
                && seen.kind == gone.kind
                && match (gone.is_survival(), seen.is_survival()) {
                    (true, false) => seen.age <= gone.age,
                    (false, true) => gone.is_bounding_death() && seen.age >= gone.age,
                    (true, true) | (false, false) => false,
                };
            !is_outweighed
        });
    }

    /// The number of the server with this name, which it gets with its first observation. `None` for one
    /// without a name, and for more servers than are told apart.
    pub fn number_of(&mut self, name: Option<&str>) -> Option<u16> {
        let name: String = name?.chars().take(LONGEST_NAME).collect();
        let number = |index: usize| u16::try_from(index).ok();
        if let Some(index) = self.servers.iter().position(|known| *known == name) {
            return number(index);
        }
        if self.servers.len() < MOST_SERVERS {
            self.servers.push(name);
            return number(self.servers.len() - 1);
        }
        // A server that nothing was seen of for long gives its number back.
        let is_free = |index: usize| self.seen.iter().all(|seen| seen.server != number(index));
        let index = (0..self.servers.len()).find(|&index| is_free(index))?;
        self.servers[index] = name;
        number(index)
    }

    /// The names of the servers, by number.
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    /// The names of the servers that the newest lives were on.
    pub fn newest_servers(&self) -> BTreeSet<&str> {
        let numbers: BTreeSet<u16> =
            self.seen.iter().rev().take(NEWEST_OF_SERVERS).filter_map(|seen| seen.server).collect();
        numbers
            .into_iter()
            .filter_map(|number| self.servers.get(usize::from(number)))
            .map(String::as_str)
            .collect()
    }

    /// Takes up the names of the servers, by number.
    pub fn set_servers(&mut self, servers: Vec<String>) {
        self.servers = servers;
        self.servers.truncate(MOST_SERVERS);
    }

    /// Whether two observations, or what is known of a server now, are of one server: both by number. One
    /// without a number is of any server as long as there is only one.
    pub fn is_one_server(&self, one: Option<u16>, other: Option<u16>) -> bool {
        one == other || (one.is_none() || other.is_none()) && self.servers.len() <= 1
    }

    /// Forgets an observation that turned out to say nothing.
    pub fn withdraw(&mut self, observation: &Observation) {
        self.seen.retain(|seen| {
            seen.at != observation.at || seen.kind != observation.kind || seen.age != observation.age
        });
    }

    /// Takes no observation for one of the future: the clock may have been set back. `now` is seconds
    /// since the Unix epoch.
    pub fn end_at(&mut self, now: f64) {
        self.seen.iter_mut().for_each(|seen| seen.at = seen.at.min(now));
    }

    /// Moves all times by so many seconds; none past the Unix epoch, for nothing was seen there.
    pub fn move_by(&mut self, seconds: f64) {
        self.seen.iter_mut().for_each(|seen| seen.at = (seen.at + seconds).max(0.0));
    }

    /// The observations, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Observation> + ExactSizeIterator {
        self.seen.iter()
    }

    /// How many were told since this program began, those that are forgotten among them.
    pub fn told(&self) -> usize {
        self.told
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_numbered_as_they_come_and_no_name_is_without_bound() {
        let mut history = History::default();
        assert_eq!(history.number_of(None), None);
        assert!(history.is_one_server(None, Some(0)), "one server, told or not");
        assert_eq!(history.number_of(Some("a")), Some(0));
        assert_eq!(history.number_of(Some("b")), Some(1));
        assert_eq!(history.number_of(Some("a")), Some(0));
        assert!(!history.is_one_server(None, Some(0)) && !history.is_one_server(Some(1), Some(0)));
        let long = "x".repeat(1000);
        assert_eq!(history.number_of(Some(&long)), Some(2));
        assert_eq!(history.servers()[2].len(), LONGEST_NAME);
        for number in 0..2 * MOST_SERVERS {
            history.push(Observation { server: Some(0), ..lived(number as f64, 1.0) });
            let number = history.number_of(Some(&format!("server {number}")));
            assert_ne!(number, Some(0), "the one that was seen keeps its number");
        }
        assert_eq!(history.servers().len(), MOST_SERVERS);
    }

    #[test]
    fn the_servers_of_now_are_those_of_the_newest_lives() {
        let mut history = History::default();
        history.set_servers(["a", "b", "c"].map(str::to_owned).to_vec());
        history.push(Observation { server: Some(0), ..lived(0.0, 1.0) });
        for number in 1..=NEWEST_OF_SERVERS {
            assert_eq!(history.newest_servers().contains("a"), number <= NEWEST_OF_SERVERS);
            history.push(Observation {
                server: [Some(1), None, Some(9)][number % 3],
                ..lived(number as f64, 1.0)
            });
        }
        assert_eq!(history.newest_servers().into_iter().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn what_was_told_too_early_is_taken_back() {
        let mut history = History::default();
        history.push(died(1.0, 30.0));
        history.push(died(2.0, 30.0));
        history.withdraw(&died(1.0, 30.0));
        assert_eq!(history.iter().map(|seen| seen.at).collect::<Vec<_>>(), [2.0]);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut history = History::default();
        for number in 0..HISTORY_CAPACITY + 10 {
            history.push(lived(number as f64, 1.0));
        }
        assert_eq!(history.len(), HISTORY_CAPACITY);
        assert_eq!(history.iter().next().map(|o| o.at), Some(10.0));
    }

    #[test]
    fn what_is_rare_is_kept() {
        let mut history = History::default();
        history.push(Observation { kind: Kind::Keepalive, ..lived(0.0, 31_000.0) });
        history.push(died(1.0, 28_800.0));
        for number in 2..3 * HISTORY_CAPACITY {
            history.push(lived(number as f64, 25.0));
        }
        let old: Vec<f64> = history.iter().take(3).map(|seen| seen.at).collect();
        assert_eq!(old[..2], [0.0, 1.0]);
        assert_eq!(old[2], (2 * HISTORY_CAPACITY + 2) as f64);
    }

    #[test]
    fn what_was_outweighed_goes_with_what_outweighed_it() {
        let mut history = History::default();
        history.push(died(0.0, 350.0));
        history.push(died(1.0, 900.0));
        history.push(lived(2.0, 400.0));
        for number in 3..HISTORY_CAPACITY + 1 {
            history.push(lived(number as f64, 25.0));
        }
        let ages: Vec<f64> = history.iter().take(2).map(|seen| seen.age).collect();
        assert_eq!(ages, [900.0, 25.0], "the survival of 400 s took the death at 350 s with it");
    }

    #[test]
    fn times_are_moved_and_never_past_the_epoch() {
        let mut history = History::default();
        [1.0, 1.8e9, 1.8e9 + 5.0].into_iter().for_each(|at| history.push(lived(at, 25.0)));
        let unmoved = history.clone();
        history.move_by(0.0);
        assert_eq!(history, unmoved);
        history.move_by(-3600.0);
        let times: Vec<f64> = history.iter().map(|seen| seen.at).collect();
        assert_eq!(times, [0.0, 1.8e9 - 3600.0, 1.8e9 - 3595.0]);
    }

    fn lived(at: f64, age: f64) -> Observation {
        Observation { at, kind: Kind::Idle, age, fate: Fate::Lived, server: None }
    }

    fn died(at: f64, age: f64) -> Observation {
        let (ending, culprit) = (Ending::Silence, Culprit::NetworkIdleTimeout);
        Observation {
            fate: Fate::Died { ending, exact: false, culprit, recurs: false, killed: None },
            ..lived(at, age)
        }
    }
}
