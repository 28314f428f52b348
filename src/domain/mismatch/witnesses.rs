//! The rules that rest on the applications' own sessions as they were followed, see
//! [`domain::applications`](crate::domain::applications).

use std::collections::BTreeSet;

use crate::domain::applications::Evidence;
use crate::domain::applications::risk::{Limit, Severity, Stakes, Tense, severity};
use crate::domain::applications::rules::{self, PathFacts};
use crate::domain::culprit::Culprit;
use crate::domain::layers::pool::Pool;

use super::bracket::{firm_upper, safe_below};
use super::facts::Facts;

/// What the applications' sessions are judged by; `now` in seconds on the clock of their rounds. `row_left` is
/// whether the rows of canaries that died at the limit left the server's list, as far as it was seen: where it was
/// not, who ended them says it.
pub fn path_facts(facts: &Facts, row_left: Option<bool>, now: f64) -> PathFacts {
    let by_culprit = |culprit| {
        matches!(
            culprit,
            Culprit::ServerIdleTimeout
                | Culprit::ServerKill
                | Culprit::ServerRestart
                | Culprit::ProxyIdleTimeout
                | Culprit::MassDisconnect
        )
    };
    let takes_the_row =
        row_left.unwrap_or_else(|| facts.killer.is_some_and(|killer| by_culprit(killer.culprit)));
    PathFacts {
        limit: firm_upper(&facts.idle).map(|reached| Limit { reached, takes_the_row }),
        survived: safe_below(&facts.idle),
        now,
    }
}

/// One user's sessions at risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtRisk {
    /// The MySQL user.
    pub user: String,
    /// How many there are.
    pub count: usize,
    /// How loudly they are told of.
    pub severity: Severity,
    /// Whether sessions like these have failed already.
    pub tense: Tense,
}

/// Application sessions are idle past the limit, and nothing shows that they live on: their next query fails.
///
/// True when one is at risk for certain, false when none can be, undecided when the longest lies inside the bracket.
pub(super) fn sessions_at_risk(facts: &Facts) -> Option<bool> {
    let evidence = facts.applications.as_ref()?;
    if evidence.users.values().any(|user| user.risk.at_risk > 0) {
        return Some(true);
    }
    let all_known = facts.sessions.iter().flatten().all(|user| user.ageless == 0);
    (evidence.nobody_near && all_known).then_some(false)
}

/// How many sessions of each user are at risk, by user. `None` while the limit is not confirmed or nobody can be
/// followed. Users with none are listed with zero, unless one of their sessions sleeps for a time that is not known.
pub fn sessions_at_risk_by_user(facts: &Facts) -> Option<Vec<AtRisk>> {
    let evidence = limited(facts)?;
    let limit = evidence.limit?;
    let ageless: BTreeSet<&str> = facts
        .sessions
        .iter()
        .flatten()
        .filter(|user| user.ageless > 0)
        .map(|user| user.user.as_str())
        .collect();
    let users = evidence.users.iter().filter(|(user, witness)| {
        witness.risk.at_risk > 0 || (witness.living > 0 && !ageless.contains(user.as_str()))
    });
    let at_risk = users.map(|(user, witness)| {
        let (severity, tense) = severity(Stakes {
            pool_replaces: pool_replaces(&facts.pools, user, limit),
            on_this_path: witness.risk.at_risk_on_canary_host > 0 || takes_path(facts, user),
            failed: witness.risk.failed,
        });
        AtRisk { user: user.clone(), count: witness.risk.at_risk, severity, tense }
    });
    Some(at_risk.collect())
}

/// How many sessions of each user are left behind, by user, of those that have sessions. `None` as with
/// [`sessions_at_risk_by_user`].
pub fn sessions_left_behind_by_user(facts: &Facts) -> Option<Vec<(String, usize)>> {
    let users = limited(facts)?.users.iter().filter(|(_, witness)| witness.living > 0);
    Some(users.map(|(user, witness)| (user.clone(), witness.risk.left_behind)).collect())
}

fn limited(facts: &Facts) -> Option<&Evidence> {
    facts.applications.as_ref().filter(|evidence| evidence.limit.is_some())
}

/// Whether this user's pools are declared to take the path.
fn takes_path(facts: &Facts, user: &str) -> bool {
    let mut of_user = facts.pools.iter().filter(|pool| pool.user.as_deref() == Some(user)).peekable();
    of_user.peek().is_some() && of_user.all(|pool| pool.path.as_ref() == Some(&facts.path))
}

/// Whether this user's declared pools replace a connection that rested past the limit before they lend it: they test it
/// then, or look at its age then. `None` where none is declared, or one does and another does not: whose a session is,
/// nobody sees.
fn pool_replaces(pools: &[Pool], user: &str, limit: Limit) -> Option<bool> {
    let of_user = pools.iter().filter(|pool| pool.user.as_deref() == Some(user));
    let mut answers =
        of_user.map(|pool| pool.tests_before_lending() || pool.ages_out_when_lent(limit.reached));
    let first = answers.next()?;
    answers.all(|answer| answer == first).then_some(first)
}

/// The applications' own sessions live where canaries die, or die at one age again and again where canaries live.
pub(super) fn application_path_differs(facts: &Facts) -> Option<bool> {
    Some(!differences(facts)?.is_empty())
}

/// Where the applications' sessions fare otherwise than canaries, but for users whose pools are all declared to take
/// another path.
pub(super) fn differences(facts: &Facts) -> Option<Vec<&rules::Difference>> {
    let all = facts.applications.as_ref()?.differences.as_ref()?;
    let is_elsewhere = |user: &str| {
        let mut of_user = facts.pools.iter().filter(|pool| pool.user.as_deref() == Some(user)).peekable();
        of_user.peek().is_some() && of_user.all(|pool| !facts.may_be_here(pool))
    };
    Some(all.iter().filter(|difference| !is_elsewhere(difference.user())).collect())
}

/// Sessions of a user grow older than the limit lets one rest, and no pool is declared for it.
pub(super) fn undeclared_pool(facts: &Facts) -> Option<bool> {
    let evidence = limited(facts)?;
    Some(undeclared_users(evidence, &facts.pools).next().is_some())
}

/// The users of pools that nobody declared, and the greatest age of their sessions, in seconds.
pub(super) fn undeclared_users<'a>(
    evidence: &'a Evidence,
    pools: &'a [Pool],
) -> impl Iterator<Item = (&'a str, f64)> {
    let users = evidence.users.iter().map(|(user, witness)| (user.as_str(), witness.oldest));
    users.filter(|&(user, oldest)| rules::undeclared_pool(evidence.limit, user, oldest, pools) == Some(true))
}

/// A declared pool's sessions show that it behaves otherwise.
pub(super) fn pool_not_as_declared(facts: &Facts, pool: &Pool) -> Option<bool> {
    let witness = facts.applications.as_ref()?.users.get(pool.user.as_deref()?)?;
    // Two pools of one user cannot be told apart.
    let alone = facts.pools.iter().filter(|other| other.user == pool.user).count() == 1;
    rules::pool_not_as_declared(pool, &witness.observed).filter(|_| alone)
}
