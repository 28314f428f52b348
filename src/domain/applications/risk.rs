//! Who is at risk on a path, who is left behind, and how loudly that is told.
//!
//! A session that has slept past the measured limit fails at its next query, unless what is seen says otherwise.
//! The rules, in this order:
//!
//! 1. Over the Unix socket, or over the server's own loopback, there is no path: never.
//! 2. Where the rows of our own dead canaries leave the server's list, whatever kills takes the row along: who is
//!    still listed was not killed.
//! 3. Below the limit, awake, or asleep for nobody knows how long: not yet.
//! 4. A session that has itself woken from well past the limit is not at risk below that age. Nor is one whose
//!    user's sessions on the same host did, twice within a day, and of which not two have failed since.
//! 5. Left behind: since it passed the limit, two sessions of its user and host have begun, or one has begun and
//!    one has ended. Whoever owned it has another one now. The same where its user and host have been quiet for
//!    three times the longest pause ever seen of them, after at least three births, two failures among them: they
//!    stopped.
//! 6. Anybody else is at risk.

use std::collections::BTreeMap;

use super::follower::Sleeper;
use super::groups::{EVIDENCE_LASTS, Group};
use super::row::Origin;

/// How far past the limit a survival must lie to tell another path, as a share and in seconds: a coarse timer lets
/// a session live a quarter longer.
const WELL_PAST: (f64, f64) = (1.25, 1.0);
/// How far past the longest sleep survived nobody is at risk yet, as a share and in seconds: a sleep is seen only
/// as often as the list is read.
const SAME_SLEEP: (f64, f64) = (1.25, 5.0);
/// Survivals, or failures, that make a rule.
const ENOUGH: usize = 2;
/// A user that is quiet for so many times its longest pause has stopped.
const QUIET: f64 = 3.0;
/// Births from which on a pause is a habit.
const HABIT: u64 = 3;

/// The limit of one path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The shortest idle time, in seconds, that is certain to reach the confirmed limit.
    pub reached: f64,
    /// Whether the rows of canaries that died at it leave the server's list too.
    pub takes_the_row: bool,
}

/// What holds for one session on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has no path that could end it.
    NoPath,
    /// What kills here takes the row along, and this row is there.
    NotKilled,
    /// It is awake, or has not slept past the limit.
    NotYet,
    /// Its kind wakes up alive from well past the limit: another path, or a keepalive of its own.
    Outlives,
    /// Nobody will ask it anything any more.
    LeftBehind,
    /// Its next query fails.
    AtRisk,
}

/// How far past the limit a survival must lie to tell another path, in seconds.
pub fn well_past(limit: f64) -> f64 {
    limit * WELL_PAST.0 + WELL_PAST.1
}

/// Judges one session; `now` in seconds on the clock of the rounds.
pub fn judge(sleeper: &Sleeper, group: &Group, limit: Limit, now: f64) -> Standing {
    if !group.origin.has_path() {
        return Standing::NoPath;
    }
    if limit.takes_the_row {
        return Standing::NotKilled;
    }
    let Some((idle, _)) = sleeper.idle.filter(|&(least, _)| least >= limit.reached) else {
        return Standing::NotYet;
    };
    let far = well_past(limit.reached);
    let is_within = |survived: f64| idle <= survived * SAME_SLEEP.0 + SAME_SLEEP.1;
    let own =
        sleeper.survived >= far && now - sleeper.survived_at <= EVIDENCE_LASTS && is_within(sleeper.survived);
    if own || outlives(group, limit, now).is_some_and(|(_, longest)| is_within(longest)) {
        return Standing::Outlives;
    }
    let passed_at = now - idle + limit.reached;
    if is_left_behind(group, passed_at) || has_stopped(group, limit, now) {
        return Standing::LeftBehind;
    }
    Standing::AtRisk
}

/// How many sleeps from well past the limit this user's sessions on this host survived within a day, and the
/// longest. `None` where they are too few, where they are nobody's in common, or where two have failed since.
pub fn outlives(group: &Group, limit: Limit, now: f64) -> Option<(usize, f64)> {
    let far = well_past(limit.reached);
    let (count, longest) = group.survivals_from(far, now);
    if group.mixed || count < ENOUGH {
        return None;
    }
    let mut survived: Vec<f64> =
        group.survived.iter().filter(|&&(age, _)| age >= far).map(|&(_, at)| at).collect();
    survived.sort_by(f64::total_cmp);
    let before_last = survived[survived.len() - ENOUGH];
    let failed_since = failures(group, limit, now).filter(|&at| at > before_last).count();
    (failed_since < ENOUGH).then_some((count, longest))
}

/// When sessions of this user on this host were aborted after they had slept past the limit, of the last day.
fn failures(group: &Group, limit: Limit, now: f64) -> impl Iterator<Item = f64> + '_ {
    let past = move |idle: Option<(f64, f64)>| idle.is_some_and(|(least, _)| least >= limit.reached);
    group
        .aborted
        .iter()
        .filter(move |gone| past(gone.idle) && now - gone.at <= EVIDENCE_LASTS)
        .map(|gone| gone.at)
}

/// Whether its user's other sessions have come and gone since it passed the limit.
fn is_left_behind(group: &Group, passed_at: f64) -> bool {
    let since = |at: Option<f64>| at.is_some_and(|at| at > passed_at);
    !group.mixed
        && (since(group.newest_births[1]) || (since(group.newest_births[0]) && since(group.newest_end)))
}

/// Whether this user on this host has stopped, after having failed.
fn has_stopped(group: &Group, limit: Limit, now: f64) -> bool {
    let quiet =
        group.last_active().is_some_and(|at| now - at > QUIET * group.longest_pause.max(limit.reached));
    !group.mixed && quiet && group.births >= HABIT && failures(group, limit, now).count() >= ENOUGH
}

/// What holds for one user's sessions on one path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserRisk {
    /// How many are at risk.
    pub at_risk: usize,
    /// How many of those come from the canaries' host.
    pub at_risk_on_canary_host: usize,
    /// How many are left behind.
    pub left_behind: usize,
    /// How many sleeps from well past the limit were survived within a day, and the longest in seconds, where
    /// that makes this user's sessions outlive the limit.
    pub outlives: Option<(usize, f64)>,
    /// How many sessions like these have failed within a day: aborted after a sleep past the limit, or left
    /// behind.
    pub failed: usize,
}

/// Judges every session, by user. Where a user's session is left behind, it and its like have failed: a user and
/// host of which two are left behind and which has gone quiet has stopped, and none of its others pages.
pub fn judge_all(
    sleepers: impl Iterator<Item = Sleeper>,
    groups: &[Group],
    limit: Limit,
    now: f64,
) -> BTreeMap<&str, UserRisk> {
    #[derive(Clone, Copy, Default)]
    struct Counts {
        at_risk: usize,
        left_behind: usize,
    }
    let mut counts = vec![Counts::default(); groups.len()];
    for sleeper in sleepers {
        let Some(group) = groups.get(sleeper.group) else { continue };
        match judge(&sleeper, group, limit, now) {
            Standing::AtRisk => counts[sleeper.group].at_risk += 1,
            Standing::LeftBehind => counts[sleeper.group].left_behind += 1,
            Standing::NoPath | Standing::NotKilled | Standing::NotYet | Standing::Outlives => {}
        }
    }
    let mut users: BTreeMap<&str, UserRisk> = BTreeMap::new();
    for (group, mut count) in groups.iter().zip(counts) {
        if group.left_out {
            continue;
        }
        let quiet =
            group.last_active().is_some_and(|at| now - at > QUIET * group.longest_pause.max(limit.reached));
        if !group.mixed && quiet && group.births >= HABIT && count.left_behind >= ENOUGH {
            count = Counts { at_risk: 0, left_behind: count.left_behind + count.at_risk };
        }
        let user = users.entry(group.user.as_str()).or_default();
        user.at_risk += count.at_risk;
        user.left_behind += count.left_behind;
        if group.origin == Origin::CanaryHost {
            user.at_risk_on_canary_host += count.at_risk;
        }
        user.failed += count.left_behind + failures(group, limit, now).count();
        if let Some((number, longest)) = outlives(group, limit, now).filter(|_| group.origin.has_path()) {
            let (sum, most) = user.outlives.unwrap_or((0, 0.0));
            user.outlives = Some((sum + number, most.max(longest)));
        }
    }
    users
}

/// What is told of sessions at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tense {
    /// Nothing of the kind has failed yet.
    WillFail,
    /// Sessions of this kind have failed.
    HasFailed,
}

impl Tense {
    /// The value of the label `tense`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WillFail => "will_fail",
            Self::HasFailed => "has_failed",
        }
    }
}

/// How loudly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody should look.
    Warning,
    /// Somebody should get up.
    Critical,
}

impl Severity {
    /// The value of the label `severity`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What the severity hangs on, for one user with sessions at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stakes {
    /// Whether the user's pool replaces what rested past the limit before it lends it, so that only what it has lent
    /// already can fail. `None` where no pool is known, or not which of several.
    pub pool_replaces: Option<bool>,
    /// Whether sessions at risk come from the canaries' host, or the path is declared as theirs.
    pub on_this_path: bool,
    /// How many sessions of this kind have failed within a day.
    pub failed: usize,
}

/// How loudly sessions at risk are told of, and in which tense.
pub fn severity(stakes: Stakes) -> (Severity, Tense) {
    let tense = if stakes.failed > 0 { Tense::HasFailed } else { Tense::WillFail };
    let critical = stakes.pool_replaces == Some(false) && stakes.on_this_path && tense == Tense::HasFailed;
    (if critical { Severity::Critical } else { Severity::Warning }, tense)
}

#[cfg(test)]
mod tests;
