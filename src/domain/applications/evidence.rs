//! What the followed sessions come to for one path: what its rules, its settings and its verdict take.

use std::collections::{BTreeMap, BTreeSet};

use super::driver::Driver;
use super::follower::Follower;
use super::groups::Group;
use super::pools::{Observed, observe};
use super::reports::Sleeper;
use super::risk::{Limit, UserRisk, judge_all};
use super::rules::{Difference, PathFacts, application_path_differs};
use crate::domain::culprit::Layer;
use crate::domain::layers::pool::{Framework, Pool, Recycle};
use crate::domain::layers::{Clock, LayerSetting, Source};

/// The evidence of one path, by user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The confirmed limit that it was judged by.
    pub limit: Option<Limit>,
    /// Every user that has a name, and `_other`.
    pub users: BTreeMap<String, Witness>,
    /// Who lives or dies where canaries do not. `None` where nothing could be compared.
    pub differences: Option<Vec<Difference>>,
    /// Whether nobody that is listed can be at risk, wherever in the bracket the limit lies.
    pub nobody_near: bool,
}

/// What one user's sessions show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Witness {
    /// How many sessions are listed.
    pub living: usize,
    /// Who is at risk and who is left behind, while a limit is confirmed.
    pub risk: UserRisk,
    /// The greatest age, in seconds, that one of them is known to have, over a network.
    pub oldest: f64,
    /// What their pool does.
    pub observed: Observed,
    /// What they talk to the server with, as far as they say it.
    pub drivers: BTreeSet<Driver>,
}

/// How pools that were not declared are called: by this and the user.
pub const OBSERVED: &str = "observed:";

impl Evidence {
    /// Judges every session. Those of a thread id above `covered` are not judged yet, but for the users that are known
    /// to be `applications`': they may be another exporter's canaries.
    pub fn gather(
        follower: &Follower,
        covered: Option<u64>,
        applications: &BTreeSet<String>,
        drivers: &BTreeMap<String, BTreeSet<Driver>>,
        facts: &PathFacts,
    ) -> Self {
        let groups = follower.groups();
        let is_known = |id: u64, sleeper: &Sleeper| {
            let is_application =
                || groups.get(sleeper.group).is_some_and(|of| applications.contains(&of.user));
            covered.is_none_or(|covered| id <= covered) || is_application()
        };
        let known = || follower.sleepers().filter(|(id, sleeper)| is_known(*id, sleeper));
        let sleepers = || known().map(|(_, sleeper)| sleeper);
        let mut users: BTreeMap<String, Witness> = BTreeMap::new();
        for group in groups.iter().filter(|group| !group.is_left_out()) {
            users.entry(group.user.clone()).or_default().take(group);
        }
        for sleeper in sleepers() {
            let Some(group) = groups.get(sleeper.group).filter(|group| group.origin.has_path()) else {
                continue;
            };
            if let Some(user) = users.get_mut(&group.user) {
                user.oldest = user.oldest.max(sleeper.age);
            }
        }
        for (user, of) in drivers {
            if let Some(user) = users.get_mut(user) {
                user.drivers.clone_from(of);
            }
        }
        if let Some(limit) = facts.limit {
            for (user, risk) in judge_all(sleepers(), groups, limit, facts.now) {
                if let Some(user) = users.get_mut(user) {
                    user.risk = risk;
                }
            }
        }
        Self {
            limit: facts.limit,
            nobody_near: nobody_near(sleepers(), groups, facts),
            users,
            differences: application_path_differs(facts, groups),
        }
    }

    /// The pools that nobody declared, as far as they were observed. Their names begin with [`OBSERVED`], and their
    /// times are the shortest that fit.
    pub fn pools(&self, declared: &[Pool]) -> Vec<Pool> {
        let observed = self.undeclared(declared).filter(|(_, witness)| witness.has_habit());
        observed
            .map(|(user, Witness { observed, .. })| Pool {
                name: format!("{OBSERVED}{user}"),
                user: Some(user.to_owned()),
                framework: Framework::Other,
                recycle: observed.replaces_at.map_or(Recycle::Unknown, |(from, _)| Recycle::After(from)),
                idle_timeout: observed.closes_idle_at.map(|(from, _)| from),
                keepalive: None,
                pre_ping: false,
                read_timeout: None,
                path: None,
            })
            .collect()
    }

    /// The timeouts of those pools: the middle of what fits.
    pub fn settings(&self, path: &str, declared: &[Pool]) -> Vec<LayerSetting> {
        let setting = |user: &str, key: &str, (from, to): (f64, f64), clock| LayerSetting {
            path: path.to_owned(),
            layer: Layer::Pool,
            setting: format!("{OBSERVED}{user}.{key}"),
            seconds: (from + to) / 2.0,
            clock,
            source: Source::Observed,
        };
        let of = |(user, Witness { observed, .. }): (&str, &Witness)| {
            let age = observed.replaces_at.map(|range| setting(user, "recycle", range, Clock::Age));
            let idle = observed.closes_idle_at.map(|range| setting(user, "idle_timeout", range, Clock::Idle));
            [age, idle]
        };
        self.undeclared(declared).flat_map(of).flatten().collect()
    }

    fn undeclared<'a>(&'a self, declared: &'a [Pool]) -> impl Iterator<Item = (&'a str, &'a Witness)> {
        let users = self.users.iter().map(|(user, witness)| (user.as_str(), witness));
        users.filter(|(user, _)| declared.iter().all(|pool| pool.user.as_deref() != Some(*user)))
    }
}

impl Witness {
    fn take(&mut self, group: &Group) {
        self.living += group.living;
        if !group.origin.has_path() {
            return;
        }
        self.oldest = self.oldest.max(group.oldest_wake);
        let observed = observe(group);
        // Of several hosts, the one that keeps a connection for the longest time speaks.
        let reach = |observed: &Observed| {
            let ranges = [observed.replaces_at, observed.closes_idle_at];
            ranges.into_iter().flatten().map(|(_, to)| to).fold(0.0, f64::max)
        };
        let (lent, rested) =
            (self.observed.lent_at_age.max(observed.lent_at_age), self.observed.rested.max(observed.rested));
        if reach(&observed) > reach(&self.observed) {
            self.observed = observed;
        }
        (self.observed.lent_at_age, self.observed.rested) = (lent, rested);
    }

    fn has_habit(&self) -> bool {
        self.observed.replaces_at.is_some() || self.observed.closes_idle_at.is_some()
    }
}

/// Whether nobody is at risk at the shortest limit that the facts allow.
fn nobody_near(sleepers: impl Iterator<Item = Sleeper>, groups: &[Group], facts: &PathFacts) -> bool {
    let shortest = facts.limit.map_or(facts.survived, |limit| limit.reached.min(facts.survived));
    // Exactly that long was survived.
    let limit = Limit {
        reached: shortest.next_up(),
        takes_the_row: facts.limit.is_some_and(|limit| limit.takes_the_row),
    };
    // What may have slept that long, not only what has.
    let sleepers =
        sleepers.map(|sleeper| Sleeper { idle: sleeper.idle.map(|(_, most)| (most, most)), ..sleeper });
    judge_all(sleepers, groups, limit, facts.now).values().all(|risk| risk.at_risk == 0)
}

#[cfg(test)]
mod tests;
