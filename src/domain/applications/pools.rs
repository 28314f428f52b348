//! What a pool that nobody declared does, read off the ends of its sessions.
//!
//! Only sessions that their clients closed count, and of their ages only those that were seen to begin. Two that
//! agree make a habit, if none of the newest disagrees. An end at one idle time and an end at one age look alike
//! where a session is used at one pace: then it is an idle timer only if no session ever woke from such a sleep. Two
//! pools of one user on one host cannot be told apart: where a session lives on beyond the habit, there is none.

use super::groups::{Gone, Group};

/// How far apart two ends of one habit may lie, as a share and in seconds: a pool looks at its clock when it lends
/// a connection, or every half a minute, and shifts ages by some per cent so that not all end at once.
const ALIKE: (f64, f64) = (1.15, 1.0);
/// A range that is wider than this tells no age, as a share and in seconds: the list is read too seldom for it, and
/// a session may have been lent once more before it ended.
const NARROW: (f64, f64) = (1.5, 2.0);
/// Ends that make a habit.
const ENOUGH: usize = 2;
/// The newest ends that must agree.
const NEWEST: usize = 8;
/// An age in seconds below which an end is no habit of a pool: whoever connects for each statement has none.
const SHORTEST: f64 = 2.0;

/// What a user's sessions show of their pool, ranges in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observed {
    /// Connections are replaced at about this age, from and to.
    pub replaces_at: Option<(f64, f64)>,
    /// Connections that rest are closed after about this idle time, from and to.
    pub closes_idle_at: Option<(f64, f64)>,
    /// A connection was lent again at this age at least: it is not replaced before. Zero where nothing is known.
    pub lent_at_age: f64,
    /// A connection rested for this long at least and was lent again.
    pub rested: f64,
    /// How many ends speak for the habit.
    pub ends: usize,
}

/// Reads the habit of one user's sessions on one host. Nothing can be said of a mixture.
pub fn observe(group: &Group) -> Observed {
    let rested = group.survived.iter().map(|&(age, _)| age).fold(0.0, f64::max);
    let mut observed = Observed { lent_at_age: group.oldest_wake, rested, ..Observed::default() };
    if group.mixed {
        return observed;
    }
    let newest: Vec<&Gone> = group.closed.iter().rev().take(NEWEST).collect();
    let is_narrow = |range: &(f64, f64)| range.1 <= range.0 * NARROW.0 + NARROW.1;
    let ages: Vec<(f64, f64)> = newest.iter().filter_map(|gone| gone.age.filter(is_narrow)).collect();
    let idles: Vec<(f64, f64)> = newest.iter().filter_map(|gone| gone.idle.filter(is_narrow)).collect();
    // Meanwhile one was lent at a greater age: there is another pool of this user, which replaces later or never.
    let since = newest.iter().map(|gone| gone.at).fold(f64::INFINITY, f64::min);
    let is_denied = |to: f64| group.oldest_wake_at >= since && group.oldest_wake > to * ALIKE.0 + ALIKE.1;
    let by_age = agree(&ages).filter(|&(_, to)| !is_denied(to));
    let by_idle = (idles.len() == newest.len()).then(|| agree(&idles)).flatten();
    // Who woke from as long a sleep was not closed for it.
    let by_idle = by_idle.filter(|&(_, to)| rested < to / ALIKE.0);
    match (by_age, by_idle) {
        // It slept for all its life: age and idle time are one, and cannot be told apart.
        (Some(age), Some(idle)) if idle.1 >= age.0 / ALIKE.0 - ALIKE.1 => {}
        // A timer of rest ends sessions of whatever age; one of age ends sessions that rest at one pace.
        (Some(age), Some(idle)) if group.survived.is_empty() && idle.1 * 2.0 < age.0 => {
            observed.replaces_at = Some(age);
            observed.ends = ages.len();
        }
        (None, Some(idle)) => {
            observed.closes_idle_at = Some(idle);
            observed.ends = idles.len();
        }
        (Some(age), _) => {
            observed.replaces_at = Some(age);
            observed.ends = ages.len();
        }
        (None, None) => {}
    }
    observed
}

/// Where ranges may all be one value, as far as pools are punctual: from the least to the most it may be.
fn agree(ranges: &[(f64, f64)]) -> Option<(f64, f64)> {
    let from = ranges.iter().map(|range| range.0).fold(0.0, f64::max);
    let to = ranges.iter().map(|range| range.1).fold(f64::INFINITY, f64::min);
    if ranges.len() < ENOUGH || to < SHORTEST {
        return None;
    }
    (from <= to * ALIKE.0 + ALIKE.1).then_some((from.min(to), from.max(to)))
}

#[cfg(test)]
mod tests;
