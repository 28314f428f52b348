//! The rules that compare what was measured and declared with what the applications show. As the rules of
//! `domain::mismatch`: true, false, or nothing where the facts do not decide.

use super::groups::Group;
use super::pools::Observed;
use super::risk::{Limit, outlives, well_past};
use crate::domain::layers::pool::{Pool, Recycle};

/// Aborted sessions that make an age.
const ENOUGH: usize = 3;
/// How far apart they may lie, as a share and in seconds.
const ONE_AGE: (f64, f64) = (1.1, 2.0);
/// By how much a session that dies at the limit may be late, as a share and in seconds: it has not lived on.
const LATE_DEATH: (f64, f64) = (1.05, 1.0);
/// By how much a pool may be late and early, as a share and in seconds: it looks at its clock every half a minute,
/// or only when it lends.
const LATE: (f64, f64) = (1.25, 35.0);
const EARLY: (f64, f64) = (0.9, 2.0);

/// What is known of a path beside its applications.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PathFacts {
    /// The confirmed limit of idle canaries, if there is one.
    pub limit: Option<Limit>,
    /// The longest idle age in seconds that canaries are known to survive.
    pub survived: f64,
    /// The seconds on the clock of the rounds.
    pub now: f64,
}

/// How the applications' path differs from the canaries'.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// They wake up alive where canaries die.
    Outlives {
        /// The user.
        user: String,
        /// How many sleeps from well past the limit were survived within a day.
        count: usize,
        /// The longest of them, in seconds.
        longest: f64,
    },
    /// They are aborted at one idle age again and again where canaries live.
    DiesEarlier {
        /// The user.
        user: String,
        /// How many.
        count: usize,
        /// At which idle age, from and to, in seconds.
        age: (f64, f64),
    },
}

impl Difference {
    /// Whose sessions fare otherwise.
    pub fn user(&self) -> &str {
        match self {
            Self::Outlives { user, .. } | Self::DiesEarlier { user, .. } => user,
        }
    }
}

/// `application_path_differs`: who differs, and how; nobody where the list is empty. `None` where no application
/// on a path has shown anything that could be compared.
pub fn application_path_differs(facts: &PathFacts, groups: &[Group]) -> Option<Vec<Difference>> {
    let mut compared = false;
    let mut differences = Vec::new();
    for group in groups.iter().filter(|group| group.origin.has_path() && !group.left_out && !group.mixed) {
        if let Some(limit) = facts.limit.filter(|limit| !limit.takes_the_row) {
            compared |= !group.survived.is_empty() || !group.aborted.is_empty();
            if let Some((count, longest)) = outlives(group, limit, facts.now) {
                differences.push(Difference::Outlives { user: group.user.clone(), count, longest });
                continue;
            }
        } else if let Some(limit) = facts.limit {
            // What kills here takes the row along, so a survival is as good as elsewhere.
            compared |= group.survivals_from(well_past(limit.reached), facts.now).0 > 0;
        }
        compared |= facts.survived > 0.0 && !group.aborted.is_empty();
        if let Some((count, age)) = dies_at_one_age(group).filter(|&(_, (_, to))| to < facts.survived) {
            differences.push(Difference::DiesEarlier { user: group.user.clone(), count, age });
        }
    }
    (compared || !differences.is_empty()).then_some(differences)
}

/// The idle age that the newest aborted sessions of a user ended at, where they ended at one, again and again: many that
/// end together are one application that was stopped.
fn dies_at_one_age(group: &Group) -> Option<(usize, (f64, f64))> {
    /// Ends that lie closer together than this are one, as a share of the age and in seconds.
    const TOGETHER: (f64, f64) = (0.5, 2.0);
    let mut newest: Vec<(f64, (f64, f64))> =
        group.aborted.iter().rev().take(8).filter_map(|gone| Some((gone.at, gone.idle?))).collect();
    newest.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut times = 0;
    let mut last = f64::NEG_INFINITY;
    for (at, (least, _)) in &newest {
        if at - last > least * TOGETHER.0 + TOGETHER.1 {
            (times, last) = (times + 1, *at);
        }
    }
    let idles = || newest.iter().map(|(_, idle)| *idle);
    let from = idles().map(|idle| idle.0).fold(0.0, f64::max);
    let to = idles().map(|idle| idle.1).fold(f64::INFINITY, f64::min);
    let widest = idles().map(|idle| idle.1).fold(0.0, f64::max);
    let at_one = times >= ENOUGH && from <= to && widest <= from * ONE_AGE.0 + ONE_AGE.1 + (to - from);
    at_one.then_some((newest.len(), (from, widest)))
}

/// `undeclared_pool`: a user's sessions are seen to grow older than the limit lets one rest, and no pool is
/// declared for it. An information. `oldest` is the greatest age in seconds that one is known to have. `None`
/// while there is no confirmed limit.
pub fn undeclared_pool(limit: Option<Limit>, user: &str, oldest: f64, pools: &[Pool]) -> Option<bool> {
    let limit = limit?;
    let declared = pools.iter().any(|pool| pool.user.as_deref() == Some(user));
    Some(!declared && oldest >= limit.reached * LATE_DEATH.0 + LATE_DEATH.1)
}

/// `pool_not_as_declared`: a declared pool replaces or closes its connections at another time than it is declared
/// to, by what its user's sessions show. `None` where they show no habit that is declared.
pub fn pool_not_as_declared(pool: &Pool, observed: &Observed) -> Option<bool> {
    let fits = |declared: f64, (from, to): (f64, f64)| {
        from <= declared * LATE.0 + LATE.1.min(declared) && to >= declared * EARLY.0 - EARLY.1
    };
    let by_age = match (pool.recycle, observed.replaces_at) {
        (Recycle::After(age), Some(seen)) => Some(!fits(age, seen)),
        // Something replaces them where nothing should. An idle timer that is declared may look like it.
        (Recycle::Never, Some(_)) if pool.idle_timeout.is_none() => Some(true),
        (Recycle::After(_) | Recycle::Never | Recycle::Unknown, _) => None,
    };
    let by_idle = match (pool.idle_timeout, observed.closes_idle_at) {
        (Some(idle), Some(seen)) => Some(!fits(idle, seen)),
        // A rest from which a connection was lent again is longer than the pool lets one rest.
        (Some(idle), None) if observed.rested > idle * LATE.0 + LATE.1.min(idle) => Some(true),
        (_, _) => None,
    };
    match (by_age, by_idle) {
        (None, None) => None,
        (age, idle) => Some(age == Some(true) || idle == Some(true)),
    }
}

#[cfg(test)]
mod tests;
