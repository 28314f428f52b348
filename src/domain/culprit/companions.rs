//! Companions: other deaths at one age, or at one instant. A timer strikes at one age again and again; a
//! person's KILL strikes once, and a restart or a proxy's reload strikes every age at one instant.
//!
//! Only deaths on one server are compared: each server behind a path has timers of its own.

use crate::domain::culprit::Culprit;
use crate::domain::culprit::judgement::Kills;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{
    ONE_AGE, ONE_INSTANT_SECONDS, READ_BEFORE_SECONDS, SAME_EVENT_SPREAD_SECONDS, heard, one_age,
};

/// How many of the newest deaths are looked at: what happened long ago is another story.
const NEWEST: usize = 50;

/// So many others at one age are enough: more of them tell no more.
const ENOUGH_COMPANY: usize = 16;

/// So many others at one age are a timer's, whoever outlived that age between them.
const CLUSTER: usize = 2;

/// So many of one age that a KILL was counted with outweigh one that none was.
const ONE_UNKILLED_OF: usize = 8;

/// Ages of one timer are not told apart by less than this, in seconds.
const LEAST_SCATTER_SECONDS: f64 = 0.05;

/// Others' KILLs explain what was counted where they would do so with a greater chance than this.
const BY_OTHERS_ABOVE: f64 = 0.05;

/// Where others are killed with a greater chance than this in the time that a count is read over, it tells nothing.
const TELLS_NOTHING_ABOVE: f64 = 0.3;

/// A KILL is not of a row where it would be rarer than this that all the others missed its age.
const OF_ANOTHER_ROW_BELOW: f64 = 1e-3;

/// A tool that looks seldom kills at ages up to this ratio apart: each minute those idle for five, say.
pub const SELDOM_RATIO: f64 = 1.6;

/// One death, as it is compared with others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Struck {
    /// What the canary did.
    pub kind: Kind,
    /// Idle age at death, in seconds.
    pub age: f64,
    /// When it died, in seconds since the Unix epoch.
    pub at: f64,
    /// Which server it was on.
    pub server: Option<u16>,
    /// By how much the server's count of KILLs rose with it; of one that is remembered, whether by any.
    pub kills: Option<Kills>,
}

impl Struck {
    /// Whether a KILL was counted with it.
    fn is_counted(&self) -> bool {
        self.kills.is_some_and(|kills| kills.rose > 0)
    }

    /// Whether one was, and others are not killed so often that it would be anyway.
    fn is_killed(&self) -> bool {
        self.kills.is_some_and(|kills| kills.rose > 0 && kills.others <= TELLS_NOTHING_ABOVE)
    }

    /// Whether the count of KILLs was read, and stood still.
    fn is_unkilled(&self) -> bool {
        self.kills.is_some_and(|kills| kills.rose == 0)
    }

    /// Whether another died on its server, at its very instant.
    fn is_with(&self, other: &Self, history: &History) -> bool {
        (self.at - other.at).abs() <= ONE_INSTANT_SECONDS && history.is_one_server(self.server, other.server)
    }

    /// Whether another died on its server, at another instant.
    fn is_apart_from(&self, other: &Self, history: &History) -> bool {
        (self.at - other.at).abs() > ONE_INSTANT_SECONDS && history.is_one_server(self.server, other.server)
    }
}

/// One canary that lives on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spared {
    /// When it was born, in seconds since the Unix epoch.
    pub born: f64,
    /// Which server it is on.
    pub server: Option<u16>,
}

/// How many canaries died at this age while nothing was being sent, at another instant: those of the history,
/// and `others` not yet in it; `lately` are all that died lately, those that the history was not told of too. One or two
/// that struck before somebody younger survived this age are another story; more are a timer that rules only a part of the
/// connections.
pub fn same_age(history: &History, others: &[Struck], lately: &[Struck], one: &Struck) -> usize {
    let is_company = |other: &Struck| {
        (other.age - one.age).abs() <= one_age(one.age)
            && one.is_apart_from(other, history)
            && other.kind != Kind::Active
    };
    let all: Vec<Struck> = newest(history, lately, may_be_a_timer).collect();
    let is_of_an_event = |other: &Struck| died_beside_another_age(history, &all, other);
    let mut youngest_survivor = f64::NEG_INFINITY;
    let (mut since, mut before) = (0, 0);
    let mut looked_at = 0;
    for seen in history.iter().rev().filter(|seen| seen.kind != Kind::Active) {
        match seen.fate {
            Fate::Lived
                if seen.kind == Kind::Idle
                    && seen.age > one.age + one_age(one.age)
                    && history.is_one_server(one.server, seen.server) =>
            {
                youngest_survivor = youngest_survivor.max(seen.born());
            }
            Fate::Died { exact: true, culprit, killed, .. } if may_be_a_timer(culprit) => {
                looked_at += 1;
                if looked_at > NEWEST {
                    break;
                }
                let other = remembered(seen, killed);
                if is_company(&other) && !is_of_an_event(&other) {
                    *if seen.born() > youngest_survivor { &mut since } else { &mut before } += 1;
                }
            }
            Fate::Died { .. } | Fate::Lived => {}
        }
    }
    let of_others = others.iter().filter(|other| is_company(other) && !is_of_an_event(other));
    since += of_others.take(ENOUGH_COMPANY).count();
    if since + before >= CLUSTER { since + before } else { since }
}

/// Whether one died at one instant with another of quite another age, and without a KILL: one event closed both.
fn died_beside_another_age(history: &History, all: &[Struck], one: &Struck) -> bool {
    one.is_unkilled()
        && all.iter().any(|other| {
            one.is_with(other, history)
                && (one.age / other.age).max(other.age / one.age) > SELDOM_RATIO
                && other.is_unkilled()
        })
}

/// Whether one of another age died at its instant, and a KILL was counted with both: a timer that strikes one of them at the
/// instant of the other's KILL is rarer than one that ends both. `others` are all that died, this one among them or not.
pub fn is_counted_with_another_age(history: &History, others: &[Struck], one: &Struck) -> bool {
    let is_other = |other: &Struck| {
        one.is_with(other, history) && (one.age - other.age).abs() > one_age(one.age) && other.is_counted()
    };
    one.is_counted() && others.iter().any(is_other)
}

/// Whether it died sooner than all that died near its age at other instants: timers are late, and never early.
pub fn is_before_its_age(history: &History, others: &[Struck], one: &Struck) -> bool {
    let near = newest(history, others, may_be_a_timer).filter(|other| {
        (other.age - one.age).abs() <= one_age(one.age)
            && one.is_apart_from(other, history)
            && other.kind != Kind::Active
    });
    let near: Vec<Struck> = near.collect();
    if one.is_counted() {
        // A KILL is compared with those that died without one, who lie as close together as their own timer strikes.
        let unkilled = near.iter().filter(|other| other.is_unkilled());
        let mut ages: Vec<f64> = unkilled.map(|other| other.age).collect();
        ages.sort_by(f64::total_cmp);
        let Some((shortest, longest)) = ages.first().zip(ages.last()) else { return false };
        let scatter = (longest - shortest).max(LEAST_SCATTER_SECONDS);
        return ages.len() > CLUSTER && one.age < shortest - scatter;
    }
    near.len() >= CLUSTER && near.iter().all(|other| other.age - heard(other.age) > one.age)
}

/// How many KILLs struck others near this age, at other instants: a tool that looks seldom kills at ages that
/// lie apart. That the count rose is enough for those that are not decided yet. None, where it lies so far from where all
/// of them lie that it is not of that row.
pub fn kills_near(history: &History, others: &[Struck], one: &Struck) -> usize {
    let ages = kills_around(history, others, one);
    let from = ages.iter().copied().fold(f64::INFINITY, f64::min);
    let to = ages.iter().copied().fold(0.0, f64::max);
    let widened = (from.min(one.age), to.max(one.age));
    if chance_of_missing((from, to), widened, ages.len()) < OF_ANOTHER_ROW_BELOW { 0 } else { ages.len() }
}

/// The ages in seconds, as far apart as those that one tool strikes at, of those that a KILL was counted with at other
/// instants.
fn kills_around(history: &History, others: &[Struck], one: &Struck) -> Vec<f64> {
    let is_company = |other: &Struck| {
        other.is_killed()
            && (one.age / other.age).max(other.age / one.age) <= SELDOM_RATIO
            && one.is_apart_from(other, history)
    };
    let is_kill = |culprit| culprit == Culprit::ServerKill;
    newest(history, others, is_kill).filter(is_company).map(|other| other.age).collect()
}

/// How many KILL is known to have ended on its server near this age, again and again: as far apart as one that looks seldom.
pub fn killed_before(history: &History, one: &Struck) -> usize {
    let is_kill = |seen: &&Observation| {
        matches!(seen.fate, Fate::Died { exact: true, culprit: Culprit::ServerKill, recurs: true, .. })
    };
    let killed = history.iter().rev().filter(is_kill).take(NEWEST).map(|seen| remembered(seen, Some(true)));
    let is_near = |other: &Struck| {
        (one.age / other.age).max(other.age / one.age) <= SELDOM_RATIO && one.is_apart_from(other, history)
    };
    killed.filter(is_near).count()
}

/// How likely it is that so many deaths lie between two ages only, in seconds, when what strikes them strikes between two
/// that are further apart.
pub fn chance_of_missing((from, to): (f64, f64), widened: (f64, f64), deaths: usize) -> f64 {
    let least = ONE_AGE.either(widened.0);
    let share = (to - from).max(least) / (widened.1 - widened.0).max(least);
    share.powi(i32::try_from(deaths).unwrap_or(i32::MAX))
}

/// What the count of KILLs did while others died at an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KillsThere {
    /// With so many it rose ...
    counted: usize,
    /// ... and with so many it stood still.
    unkilled: usize,
}

impl KillsThere {
    /// Whether KILL strikes at this age.
    pub const fn strike(self) -> bool {
        self.counted > 0 && !self.died_unkilled()
    }

    /// Whether others' KILLs explain as well that it rose so often, where each time they had made it rise with this chance.
    /// Where that is great, a job that KILLs every so many seconds explains any row.
    pub fn may_be_of_others(self, chance: f64) -> bool {
        let Self { counted, unkilled } = self;
        if chance > TELLS_NOTHING_ABOVE {
            return true;
        }
        let all = counted + unkilled;
        // The chance that it rose so often or oftener.
        let (mut exactly, mut sum) = (chance.powi(i32::try_from(all).unwrap_or(i32::MAX)), 0.0);
        for place in 0..=unkilled {
            sum += exactly;
            let (rising, steady) = ((all - place) as f64, (place + 1) as f64);
            exactly *= rising / steady * (1.0 - chance) / chance.max(1e-12);
        }
        counted > 0 && sum > BY_OTHERS_ABOVE
    }

    /// Whether others died there without one: no KILL strikes at this age then. One of many that a KILL was counted with
    /// may have been closed by something else at just this age.
    pub const fn died_unkilled(self) -> bool {
        self.unkilled * ONE_UNKILLED_OF > self.counted
    }
}

/// What the count of KILLs did while others died at the age of this one, or between the ages that a tool which looks seldom
/// strikes at, where this one lies between those.
pub fn kills_there(history: &History, others: &[Struck], one: &Struck) -> KillsThere {
    let killed = kills_around(history, others, one);
    let from = killed.iter().copied().fold(f64::INFINITY, f64::min);
    let to = killed.iter().copied().fold(0.0, f64::max);
    let is_tool = to <= from * SELDOM_RATIO && (from..=to).contains(&one.age);
    // What acquits one that a KILL was counted with died at just its age.
    let is_near = |other: &Struck| {
        let is_there =
            is_tool && (from..=to).contains(&other.age) && (other.is_counted() || !one.is_counted());
        (is_there || (other.age - one.age).abs() <= one_age(one.age))
            && history.is_one_server(one.server, other.server)
    };
    let mut there = KillsThere::default();
    // What one event closed whatever its age says nothing of what strikes at an age.
    for other in newest(history, others, may_be_a_timer).filter(is_near).filter(|other| other.kills.is_some())
    {
        *(if other.is_counted() { &mut there.counted } else { &mut there.unkilled }) += 1;
    }
    there
}

/// Whether the count of KILLs was read for any of the newest deaths.
pub fn are_kills_read(history: &History, others: &[Struck]) -> bool {
    newest(history, others, |_| true).any(|other| other.kills.is_some())
}

/// The newest that the history remembers and whose culprit is one of these, and the others.
fn newest(
    history: &History,
    others: &[Struck],
    is_of: impl Fn(Culprit) -> bool,
) -> impl Iterator<Item = Struck> {
    let told = history.iter().rev().filter_map(move |seen| match seen.fate {
        Fate::Died { exact: true, culprit, killed, .. } if is_of(culprit) => Some(remembered(seen, killed)),
        Fate::Died { .. } | Fate::Lived => None,
    });
    told.take(NEWEST).chain(others.iter().copied())
}

/// One that the history remembers.
fn remembered(seen: &Observation, killed: Option<bool>) -> Struck {
    let Observation { kind, age, at, server, .. } = *seen;
    let kills = killed.map(|killed| Kills { rose: u32::from(killed), read_before: 0.0, others: 0.0 });
    Struck { kind, age, at, server, kills }
}

/// Deaths by these may be a timer's at their age.
const fn may_be_a_timer(culprit: Culprit) -> bool {
    !matches!(culprit, Culprit::ServerRestart | Culprit::MassDisconnect | Culprit::NetworkStateLoss)
}

/// How many others died at the instant of this one by something that does not ask for their ages. `others` are
/// all that died, this one among them or not; `spared` those that live on. None, where an age would explain
/// who was struck and who spared: a tool that kills idle sessions spares the young.
pub fn same_instant(history: &History, others: &[Struck], spared: &[Spared], one: &Struck) -> usize {
    let is_here = |server| history.is_one_server(one.server, server);
    let is_itself = |other: &Struck| other.kind == one.kind && other.at == one.at && other.age == one.age;
    let mut company: Vec<&Struck> =
        others.iter().filter(|other| one.is_with(other, history)).filter(|other| !is_itself(other)).collect();
    let count = company.len();
    company.push(one);
    let youngest = company.iter().map(|other| other.age).fold(f64::INFINITY, f64::min);
    let oldest = company.iter().map(|other| other.age).fold(0.0, f64::max);
    let left: Vec<f64> = spared
        .iter()
        .filter(|spared| is_here(spared.server) && spared.born < one.at - ONE_INSTANT_SECONDS)
        .map(|spared| one.at - spared.born)
        .collect();
    // One that looks seldom closes ages that lie apart, in a part of the connections too: again and again, or beside
    // others that are spared.
    let recurs = || {
        let elsewhen = |other: &Struck| one.is_apart_from(other, history);
        let is_near = |other: &&Struck| {
            other.age >= youngest - one_age(youngest) && other.age <= oldest + one_age(oldest)
        };
        let mut others: Vec<Struck> =
            newest(history, others, |culprit| culprit != Culprit::ServerRestart).filter(elsewhen).collect();
        // Those that were decided lately are told of twice.
        others.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.age.total_cmp(&b.age)));
        others
            .dedup_by(|a, b| a.kind == b.kind && (a.at - b.at).abs() < 1e-3 && (a.age - b.age).abs() < 1e-3);
        let near = others.iter().filter(is_near).count();
        near >= CLUSTER && near * 2 > others.len()
    };
    let may_look_seldom = oldest <= SELDOM_RATIO * youngest && (!left.is_empty() || recurs());
    let are_many_ages = oldest - youngest > 2.0 * ONE_AGE.either(oldest) && !may_look_seldom;
    // Launches are spread and a timer's deaths with them; one event strikes them all at once.
    let are_spread = oldest - youngest > SAME_EVENT_SPREAD_SECONDS && left.is_empty() && !may_look_seldom;
    let is_an_age = !left.is_empty() && left.iter().all(|age| *age < youngest);
    if (are_many_ages || are_spread) && !is_an_age { count } else { 0 }
}

/// Whether so few KILLs were counted around the instant of this one that they do not explain all who died at it. One
/// statement may kill every session of an account, and then spares none. `others` are all that died, this one among
/// them or not, and those that a KILL was counted with shortly before; `spared` those that live on.
pub fn are_kills_too_few(history: &History, others: &[Struck], spared: &[Spared], one: &Struck) -> bool {
    let is_here = |server| history.is_one_server(one.server, server);
    let is_itself = |other: &&Struck| other.kind == one.kind && other.at == one.at && other.age == one.age;
    let is_of_it = |other: &&Struck| one.is_with(other, history);
    let all = || others.iter().filter(is_of_it).filter(|other| !is_itself(other)).chain([one]);
    // The count that was read last was read after all of them.
    let counted =
        all().filter_map(|struck| struck.kills.map(|kills| (struck.at - kills.read_before, kills.rose)));
    let Some((read_at, kills)) = counted.max_by_key(|(_, kills)| *kills) else { return false };
    let is_earlier = |other: &&Struck| {
        let is_between = other.at >= read_at + READ_BEFORE_SECONDS && other.at < one.at - ONE_INSTANT_SECONDS;
        is_between && other.is_counted() && is_here(other.server)
    };
    let earlier = others.iter().filter(is_earlier).count();
    let is_spared = |spared: &Spared| is_here(spared.server) && spared.born < one.at - ONE_INSTANT_SECONDS;
    let may_be_of_an_account = kills > 0 && earlier == 0 && !spared.iter().any(is_spared);
    all().count() + earlier > kills as usize && !may_be_of_an_account
}

#[cfg(test)]
mod tests;
