//! Several paths to one server, compared: a limit that one of them has and another has not comes from what lies on
//! that one alone.

use std::cmp::Ordering;

use crate::domain::limit::IdleLimit;

use super::bracket::{allowed, device_acts_by};
use super::facts::{Facts, OtherPath};

/// From this share on all lives meet a limit: one or another may live by chance.
const MOST_OF_ALL: f64 = 0.97;
/// Where so many live past the age as would be rarer than this, were the other path's limit there too, it is not.
const THERE_TOO_BELOW: f64 = 0.01;

/// How the idle limit of a path lies to that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Its sessions die at an age at which the other's are known to live.
    Shorter,
    /// The other's die at an age at which its own are known to live.
    Longer,
    /// Both die at one age, as far as lateness lets tell.
    Same,
    /// The evidence does not decide.
    Undecided,
    /// Other servers are known to answer there.
    OtherServer,
}

/// Compares a path with another one to the same server.
///
/// Certain for every limit that both brackets allow, lateness granted; so a path that has no evidence yet, or whose
/// ladder ends below the other's limit, decides nothing. A limit that rules a part of the connections is there on
/// the other path too unless more outlive it than chance explains. A limit that is one server's of several behind
/// a path is not the path's.
pub fn compare(facts: &Facts, other: &OtherPath) -> Comparison {
    if are_apart(&facts.identities, &other.identities) {
        return Comparison::OtherServer;
    }
    if facts.idle.server.is_some() || other.idle.server.is_some() {
        return Comparison::Undecided;
    }
    let (here, there) = (range(&facts.idle), range(&other.idle));
    let (shorter, longer, order) = if here.1 <= there.1 {
        ((here, &facts.idle), (there, &other.idle), Comparison::Shorter)
    } else {
        ((there, &other.idle), (here, &facts.idle), Comparison::Longer)
    };
    let ((from, to), limit) = shorter;
    if to.is_infinite() {
        return Comparison::Undecided;
    }
    let (longer, outlives) = longer;
    if longer.0 > device_acts_by(to) {
        return if is_absent(limit, outlives) { order } else { Comparison::Undecided };
    }
    if longer.1 <= device_acts_by(from.min(longer.0)) { Comparison::Same } else { Comparison::Undecided }
}

/// Two paths to one server have different limits.
///
/// True when some other path's bracket and this one's cannot hold the same limit. False when every other path's limit
/// is known as closely as lateness allows, and is the same; paths to other servers are left out.
pub(super) fn paths_disagree(facts: &Facts) -> Option<bool> {
    let answers = facts.other_paths.iter().map(|other| compare(facts, other));
    let answers: Vec<Comparison> = answers.filter(|answer| *answer != Comparison::OtherServer).collect();
    let differ = |answer: &Comparison| matches!(answer, Comparison::Shorter | Comparison::Longer);
    if answers.iter().any(differ) {
        Some(true)
    } else if answers.is_empty() || answers.contains(&Comparison::Undecided) {
        None
    } else {
        Some(false)
    }
}

/// The other paths to the same server, by name, with how this one lies to them.
pub fn compared(facts: &Facts) -> Vec<(&OtherPath, Comparison)> {
    let mut all: Vec<(&OtherPath, Comparison)> =
        facts.other_paths.iter().map(|other| (other, compare(facts, other))).collect();
    // By limit where names are the same, which no configuration has.
    let by_limit = |a: &OtherPath, b: &OtherPath| a.idle.lower.partial_cmp(&b.idle.lower);
    all.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name).then(by_limit(a, b).unwrap_or(Ordering::Equal)));
    all
}

/// Whether all lives that reach a limit's age die there.
pub fn is_of_all(limit: &IdleLimit) -> bool {
    limit.share <= 0.0 || limit.share >= MOST_OF_ALL
}

/// Whether servers are known on both sides, and none of them on both.
fn are_apart(here: &[String], there: &[String]) -> bool {
    !here.is_empty() && !there.is_empty() && !here.iter().any(|server| there.contains(server))
}

/// The limits that the evidence allows, from and to, in seconds. What looks at its clock seldom has one between two
/// ages.
fn range(limit: &IdleLimit) -> (f64, f64) {
    let (from, to) = allowed(limit);
    (from, if to.is_finite() { limit.spread_to.unwrap_or(to).max(to) } else { to })
}

/// Whether a limit is not on a path whose lives reached well past its age.
fn is_absent(limit: &IdleLimit, outlives: &IdleLimit) -> bool {
    let lives = i32::try_from(outlives.survivals.saturating_add(outlives.deaths)).unwrap_or(i32::MAX);
    is_of_all(limit) || (1.0 - limit.share).powi(lives) < THERE_TOO_BELOW
}
