//! What stands of a history read from the newest back: survivals on one side, deaths on the other.

use crate::domain::life::tolerance::{heard, probed};

/// One observation that nothing newer contradicts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Its place in the history, from the newest.
    pub(super) rank: usize,
    pub(super) age: f64,
    pub(super) at: f64,
    pub(super) exact: bool,
}

/// The survivals or the deaths of a history, read from the newest back.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) standing: Vec<Standing>,
    /// The least and the greatest age of the standing ones.
    pub(super) shortest: f64,
    pub(super) longest: f64,
    /// The age of the last outweighed one, if no observation since contradicts it too: two in a row
    /// make a move.
    pub(super) streak: Option<f64>,
    /// The ranks and ages of all outweighed ones, newest first.
    pub(super) outweighed: Vec<(usize, f64)>,
    /// Whether everything older is dropped.
    pub(super) dropped: bool,
}

impl Side {
    pub(super) fn new() -> Self {
        Self {
            standing: Vec::new(),
            shortest: f64::INFINITY,
            longest: 0.0,
            streak: None,
            outweighed: Vec::new(),
            dropped: false,
        }
    }

    pub(super) fn push(&mut self, standing: Standing) {
        self.shortest = self.shortest.min(standing.age);
        self.longest = self.longest.max(standing.age);
        self.standing.push(standing);
    }

    /// Drops one outweighed observation; `by` is the rank of the first that contradicts it.
    pub(super) fn drop_outweighed(&mut self, rank: usize, age: f64, by: usize) {
        if self.streak.is_some() && !self.dropped {
            let standing = std::mem::take(&mut self.standing);
            (self.shortest, self.longest) = (f64::INFINITY, 0.0);
            standing.into_iter().filter(|s| s.rank <= by).for_each(|s| self.push(s));
            self.dropped = true;
        }
        self.streak = Some(age);
        self.outweighed.push((rank, age));
    }

    /// The rank of the newest outweighed one that fits.
    pub(super) fn newest_outweighed(&self, fits: impl Fn(f64) -> bool) -> usize {
        self.outweighed.iter().find(|&&(_, age)| fits(age)).map_or(usize::MAX, |&(rank, _)| rank)
    }

    /// Ends a streak that an observation in its midst already contradicts.
    pub(super) fn streak_ends(&mut self, contradicts: impl Fn(f64) -> bool) {
        if self.streak.is_some_and(contradicts) {
            self.streak = None;
        }
    }
}

pub(super) fn add_survival(survivals: &mut Side, deaths: &mut Side, survival: Standing) {
    let age = survival.age;
    // An audible death does not contradict the survival that it implies itself.
    if deaths.shortest <= age {
        survivals.drop_outweighed(survival.rank, age, oldest(&deaths.standing, |d| d.age <= age));
    } else if !survivals.dropped {
        deaths.streak_ends(|lost| lost <= age);
        survivals.push(survival);
    }
}

/// The rank of the oldest of those that fit.
pub(super) fn oldest(standing: &[Standing], fits: impl Fn(&Standing) -> bool) -> usize {
    standing.iter().filter(|s| fits(s)).map(|s| s.rank).max().unwrap_or(0)
}

/// The longest age that another one within what strays bears out from below.
pub(super) fn longest_pair(mut survivals: Vec<Standing>) -> Option<f64> {
    survivals.sort_by(|a, b| b.age.total_cmp(&a.age));
    let mut pairs = survivals.windows(2);
    let pair = pairs.find(|pair| pair[1].age >= pair[0].age - strays(pair[0]).max(strays(pair[1])));
    pair.map(|pair| pair[0].age)
}

/// The shortest age that another one within what strays bears out from above.
pub(super) fn shortest_pair(mut deaths: Vec<Standing>) -> Option<f64> {
    deaths.sort_by(|a, b| a.age.total_cmp(&b.age));
    let pair = deaths.windows(2).find(|pair| pair[1].age <= pair[0].age + strays(pair[0]));
    pair.map(|pair| pair[0].age)
}

/// How far from an observation another of the same limit may lie, in seconds.
fn strays(seen: Standing) -> f64 {
    if seen.exact { heard(seen.age) } else { probed(seen.age) }
}
