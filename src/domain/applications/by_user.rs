//! Tells by the errors that the server counted by user how that user's sessions ended: only what must be so,
//! whoever else may be meant by the counts.

use std::collections::BTreeMap;

use super::counted::{Ending, ErrorCounts, Rise};
use super::groups::{Group, OTHER};
use super::ledger::{Batch, Ended, Verdicts};
use super::unseen::Unseen;

/// Network errors that one session counts as at most: a KILL was measured as two, a dropped socket as one, and
/// `wait_timeout` and COM_QUIT as none, on MySQL 9.7.
const MOST_ERRORS: u64 = 2;
/// A server ends a session this much early at most, for it counts by its own clock, as a share and in seconds.
const EARLY: (f64, f64) = (0.01, 1.0);

/// Whether a session may have met this `wait_timeout`, in seconds. It may where nothing is known.
pub(super) fn may_have_met(wait_timeout: Option<f64>, ended: &Ended) -> bool {
    may_have_slept_for(wait_timeout, ended.slept_at_most)
}

/// Whether a session had slept for most of this `wait_timeout` already when it was last seen, and may have met it.
fn was_near(wait_timeout: Option<f64>, ended: &Ended) -> bool {
    /// As a share of the timeout; and the seconds that a whole `TIME` may be off.
    const MOST_OF_IT: (f64, f64) = (0.75, 2.0);
    let seen = ended.gone.idle.map_or(0.0, |(at_least, _)| at_least);
    wait_timeout.is_some_and(|timeout| seen + MOST_OF_IT.1 >= timeout * MOST_OF_IT.0)
        && may_have_met(wait_timeout, ended)
}

fn may_have_slept_for(wait_timeout: Option<f64>, at_most: f64) -> bool {
    wait_timeout.is_none_or(|timeout| at_most >= timeout * (1.0 - EARLY.0) - EARLY.1)
}

/// Where to look for who else may be meant by what one reading counted.
#[derive(Debug)]
pub(super) struct Window<'a> {
    /// The newest rounds.
    pub(super) others: &'a Unseen,
    /// After which round the counts begin; of some users, whose counts were left over, earlier.
    pub(super) after: u64,
    pub(super) earlier: &'a BTreeMap<String, u64>,
    /// The round of the reading.
    pub(super) read: u64,
    /// The global `wait_timeout`, in seconds.
    pub(super) wait_timeout: Option<f64>,
    /// Whose groups these are.
    pub(super) groups: &'a [Group],
}

/// Who else may be meant by what was counted of one user.
#[derive(Debug)]
struct Rivals {
    /// How many sessions of whatever user came and went unseen at most. `None` where that is not known.
    unseen: Option<u64>,
    /// Whether one of those may have lived long enough to meet the global `wait_timeout`.
    unseen_may_have_met: bool,
    /// Ends of this user that stay unexplained; and those that were seen just after the reading, too.
    before: u64,
    with_next: u64,
}

impl Window<'_> {
    /// After which round a user's counts begin.
    pub(super) fn after(&self, user: &str) -> u64 {
        self.earlier.get(user).map_or(self.after, |&earlier| earlier.min(self.after))
    }

    fn rivals(&self, user: &str) -> Rivals {
        let (after, next) = (self.after(user), self.read + 1);
        let ends = |until: u64| {
            let of_user =
                self.others.unexplained(after, until).filter(|&(group, _)| name(self.groups, group) == user);
            of_user.map(|(_, count)| count).sum()
        };
        Rivals {
            unseen: self.others.count(after, next),
            unseen_may_have_met: may_have_slept_for(self.wait_timeout, self.others.longest_life(after, next)),
            before: ends(self.read),
            with_next: ends(next),
        }
    }
}

fn name(groups: &[Group], group: u16) -> &str {
    groups.get(usize::from(group)).map_or(OTHER, |group| group.user.as_str())
}

/// Tells which sessions met `wait_timeout`, and which were aborted. Gives the round and the group of those that stay
/// undecided.
pub(super) fn judge_by_errors(
    batches: Vec<Batch>,
    credits: &mut BTreeMap<String, ErrorCounts>,
    window: &Window<'_>,
    verdicts: &mut Verdicts,
) -> Vec<(u64, u16)> {
    let (groups, wait_timeout) = (window.groups, window.wait_timeout);
    let mut by_user: BTreeMap<&str, Vec<(Ended, usize)>> = BTreeMap::new();
    let known: Vec<(bool, Option<Rise>)> =
        batches.iter().map(|batch| (batch.none_quit, batch.aborted)).collect();
    let mut known_aborted = vec![0_u64; batches.len()];
    for (number, batch) in batches.into_iter().enumerate() {
        for ended in batch.ends {
            by_user.entry(name(groups, ended.group)).or_default().push((ended, number));
        }
    }
    let mut undecided = Vec::new();
    let mut left: Vec<(Ended, usize)> = Vec::new();
    for (user, mut ends) in by_user {
        let mut credit = credits.remove(user).unwrap_or_default();
        let count = ends.len() as u64;
        let near = ends.iter().filter(|(ended, _)| was_near(wait_timeout, ended)).count() as u64;
        let rivals = window.rivals(user);
        let counted = credit.idle_timeouts.saturating_sub(rivals.before);
        let timed_out = certain_timeouts(counted, count, near, &rivals);
        let all_told = timed_out == credit.idle_timeouts.min(count);
        credit.idle_timeouts -= timed_out;
        // Those that said no COM_QUIT for certain go first, then those near the timeout: what is said of the others
        // must hold whichever of them it was.
        let slept = |ended: &Ended| ended.gone.idle.map_or(0.0, |(at_least, _)| at_least);
        ends.sort_by(|(a, of_a), (b, of_b)| {
            let first = |ended: &Ended, batch: usize| (known[batch].0, was_near(wait_timeout, ended));
            first(b, *of_b).cmp(&first(a, *of_a)).then(slept(b).total_cmp(&slept(a)))
        });
        let rest = ends.split_off(timed_out as usize);
        for (ended, batch) in ends {
            known_aborted[batch] += 1;
            verdicts.push((ended, Ending::IdleTimeout));
        }
        let remaining = rest.len() as u64;
        let none_quit = rest.iter().all(|&(_, batch)| known[batch].0);
        let others = rivals.unseen.map(|unseen| unseen + rivals.with_next);
        let all_dropped = remaining > 0
            && others.is_some_and(|others| {
                credit.network.saturating_sub(timed_out) > MOST_ERRORS * (remaining + others - 1)
            });
        if all_told && (none_quit || all_dropped) {
            credit.network = credit.network.saturating_sub(MOST_ERRORS * remaining);
            for (ended, batch) in rest {
                known_aborted[batch] += 1;
                verdicts.push((ended, Ending::Aborted));
            }
        } else if all_told && credit.network == 0 {
            left.extend(rest);
        } else {
            // Some were aborted and some were not; which ones, nobody said.
            undecided.extend(rest.iter().map(|(ended, _)| (ended.round, ended.group)));
            verdicts.extend(rest.into_iter().map(|(ended, _)| (ended, Ending::Undecided)));
        }
        credits.insert(user.to_owned(), credit);
    }
    for (ended, batch) in left {
        // The server aborted no more than were named: this one said COM_QUIT.
        let explained = known[batch].1.is_some_and(|rise| rise.most <= known_aborted[batch]);
        if !explained {
            undecided.push((ended.round, ended.group));
        }
        verdicts.push((ended, if explained { Ending::Closed } else { Ending::Undecided }));
    }
    undecided
}

/// How many of so many sessions met `wait_timeout` for certain, where the server counted so many of their user. An
/// unseen one that lived for less than the global timeout can only have met a shorter one of its own: so those that
/// were `near` the global one go first, and what they do not explain may be anybody's: an unseen one's, or one's that
/// was still listed when the errors were about to be read.
fn certain_timeouts(counted: u64, count: u64, near: u64, rivals: &Rivals) -> u64 {
    let by_global = if rivals.unseen_may_have_met { 0 } else { counted.min(near) };
    let others = rivals.unseen.map(|unseen| unseen + rivals.with_next - rivals.before);
    let by_own = (counted - by_global).saturating_sub(others.unwrap_or(u64::MAX));
    by_global + by_own.min(count - by_global)
}

/// What was counted, by the names that users have here: those without one of their own are [`OTHER`].
pub(super) fn by_name(
    counts: BTreeMap<String, ErrorCounts>,
    groups: &[Group],
) -> BTreeMap<String, ErrorCounts> {
    let mut named: BTreeMap<String, ErrorCounts> = BTreeMap::new();
    for (user, counts) in counts {
        let has_name = groups.iter().any(|group| group.user == user);
        add(named.entry(if has_name { user } else { OTHER.to_owned() }).or_default(), counts);
    }
    named
}

/// Adds what was counted.
pub(super) fn add(sum: &mut ErrorCounts, more: ErrorCounts) {
    sum.idle_timeouts += more.idle_timeouts;
    sum.network += more.network;
}
