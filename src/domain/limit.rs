//! The idle limit: between the longest age survived and the shortest age died at.
//!
//! A silent death at an age says that the limit is not above it and nothing else; a survival says that
//! it was not below. An audible death says both, but for the little that timers stray.

use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, NEWEST_OF_SERVERS, Observation};
use crate::domain::life::tolerance::{BORN_TOGETHER_SECONDS, ONE_AGE, heard, is_one_age, probed};

mod killing;
pub mod ladder;
mod recurring;
mod silent;
mod standing;
mod told;

use standing::{Side, Standing, add_survival, longest_pair, oldest, shortest_pair};

pub use silent::is_told_by_all_lives;
pub use told::told;

/// How far beside a bound it is looked at again, in seconds: more than two clocks and a busy machine
/// stray, and so little that what is seen there still agrees with the bound.
const BESIDE_SECONDS: f64 = 0.025;

/// How near, as a ratio of ages, an observation must be to a bound to put it in doubt: one at quite
/// another age that was contradicted since was a stray.
const DOUBT_RATIO: f64 = 1.25;

/// How many of the newest deaths may tell that a survivor keeps an older setting.
const NEWEST_DEATHS: usize = 16;

/// How many agreeing observations make a bound worth an alert.
const ENOUGH: usize = 2;

/// What a path's observations say of the age at which canaries of one kind die. All in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct IdleLimit {
    /// The longest age survived that no later death contradicts. Zero while nothing was survived. An
    /// audible death counts as survived up to a little before its age.
    pub lower: f64,
    /// The longest age at which a probe was answered, of the survivals that count. Zero while none does.
    pub survived: f64,
    /// The shortest age died at, or found dead at, that no later survival contradicts. Absent while
    /// nothing died.
    pub upper: Option<f64>,
    /// Whether `upper` is the age of the death itself, so that the limit is known exactly.
    pub exact: bool,
    /// When the newest evidence that bears either bound out was seen, in seconds since the Unix epoch.
    /// Absent while there is none.
    pub evidence_at: Option<f64>,
    /// Deaths that bear the upper bound out: at its age, or above it within
    /// what probes stray ([`tolerance::PROBED`](crate::domain::life::tolerance::PROBED)), or within the scatter of timers where both were heard.
    pub deaths: usize,
    /// Survivals that bear the lower bound out: at its age or within what probes stray below.
    pub survivals: usize,
    /// Whether two deaths and two survivals bear the bracket out, so that an alert may trust it. One
    /// death may be a KILL or a blip.
    pub confirmed: bool,
    /// Whether `upper` rests on one death that contradicts what was survived before: a stray, or a move.
    pub upper_in_doubt: bool,
    /// Whether `lower` rests on one survival that contradicts a death before: a stray, or a move.
    pub lower_in_doubt: bool,
    /// The second-shortest age died at that nothing newer contradicts, in seconds: sessions idle for that
    /// long are dead, even if one death was a stray.
    pub certain: Option<f64>,
    /// Which share of the lives that reached this age died there: 1 where all do, less where a timer rules a part
    /// of the connections only. Zero while nothing died.
    pub share: f64,
    /// The longest age died at by what looks at its clock so seldom that its deaths lie apart, in seconds: the
    /// limit is between `upper` and this. Absent where they do not.
    pub spread_to: Option<f64>,
    /// The longest age that others live to which are not on the part that the limit rules, in seconds. Zero where
    /// all are, or none is known to.
    pub others_live_to: f64,
    /// Whose limit it is, by number, where the servers behind the path do not share one.
    pub server: Option<u16>,
    /// Deaths at any age that nothing newer contradicts, since the last survival that puts the upper bound
    /// in doubt: with two, that there is a limit at all is sure.
    pub standing_deaths: usize,
    /// The narrowest bracket whose bounds two survivals and two deaths each bear out, in seconds. Absent while there
    /// is none.
    pub borne_out: Option<(f64, f64)>,
}

impl IdleLimit {
    /// Whether the middle of the bracket is within `precision` (a share, 0.01 for one per cent) of
    /// every limit the bracket allows.
    pub fn is_sharp(&self, precision: f64) -> bool {
        self.upper.is_some_and(|upper| self.exact || upper - self.lower <= 2.0 * precision * self.lower)
    }

    /// The limit as people are told it: a bracket that was borne out stands until a narrower one is, for what one
    /// more observation says does not make it less true.
    pub fn told(self) -> Self {
        let doubted = self.upper_in_doubt || self.lower_in_doubt;
        match self.borne_out {
            Some((lower, upper)) if !self.confirmed && !doubted => Self {
                lower,
                survived: self.survived.min(lower),
                upper: Some(upper),
                exact: false,
                deaths: ENOUGH,
                survivals: ENOUGH,
                confirmed: true,
                ..self
            },
            Some(_) | None => self,
        }
    }

    /// The longest age that it strikes at, in seconds; zero while nothing died.
    pub fn longest(&self) -> f64 {
        self.spread_to.or(self.upper).unwrap_or_default()
    }

    /// From which age on one that lives outlived it, in seconds: what was heard strays, and what probes found dead is older
    /// than the limit itself.
    pub fn outlived_from(&self) -> Option<f64> {
        self.upper.map(|upper| if self.exact { self.longest() + ONE_AGE.either(upper) } else { upper })
    }

    /// Where to look at the lower bound again, in seconds: a little below it, where what lives bears it
    /// out. A limit may lie so near to a bound that canaries of its very age live and die by chance.
    pub fn below(&self) -> f64 {
        self.lower - beside(self.lower)
    }
}

/// Reads the limit of one kind from a path's history. Servers behind one path have timers of their own: where they
/// differ, the shortest limit is the one to obey, and says whose it is.
pub fn idle_limit(history: &History, kind: Kind) -> IdleLimit {
    let limits = by_server(history, kind);
    let shortest = limits
        .iter()
        .filter_map(|(server, limit)| limit.upper.map(|upper| (upper, *server, *limit)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let Some((upper, server, limit)) = shortest else {
        return of_server(history, kind, &|_| true);
    };
    if limits.len() == 1 {
        return limit;
    }
    let is_shared = limits.iter().all(|(_, other)| other.upper.is_some_and(|other| is_one_age(upper, other)));
    let server = if is_shared { None } else { server };
    let met = recurring::met(history, kind, upper, limit.spread_to);
    let share = met.map_or(limit.share, |(died, all)| died as f64 / all as f64);
    let others = limits.iter().filter(|(other, _)| server.is_some() && *other != server);
    let live_to = others.map(|(_, other)| other.survived).fold(limit.others_live_to, f64::max);
    IdleLimit { server, share: share.min(limit.share), others_live_to: live_to, ..limit }
}

/// How many idle canaries died when they reached an age, in seconds, and of how many that did, since the first of them died;
/// `None` where none did.
pub fn met_at(history: &History, age: f64) -> Option<(usize, usize)> {
    recurring::met(history, Kind::Idle, age, None)
}

/// The limit of one of the servers behind a path.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerLimit {
    /// Its number in the history.
    pub server: Option<u16>,
    /// The name that it gives itself.
    pub identity: Option<String>,
    /// Its limit of idle canaries.
    pub limit: IdleLimit,
}

/// The limit of each server behind a path, where they do not share one; else none.
pub fn where_servers_differ(history: &History, idle: &IdleLimit) -> Vec<ServerLimit> {
    if idle.server.is_none() {
        return Vec::new();
    }
    let name = |number: Option<u16>| history.servers().get(usize::from(number?)).cloned();
    let one = |(server, limit)| ServerLimit { server, identity: name(server), limit };
    by_server(history, Kind::Idle).into_iter().map(one).collect()
}

/// The limit of each server behind a path that is of now, by number: one server where none told its name.
pub fn by_server(history: &History, kind: Kind) -> Vec<(Option<u16>, IdleLimit)> {
    let mut servers: Vec<Option<u16>> = Vec::new();
    if history.servers().len() > 1 {
        for seen in history.iter().rev().filter(|seen| seen.kind == kind).take(NEWEST_OF_SERVERS) {
            if seen.server.is_some() && !servers.contains(&seen.server) {
                servers.push(seen.server);
            }
        }
    }
    if servers.len() < 2 {
        return vec![(None, of_server(history, kind, &|_| true))];
    }
    servers.sort_unstable();
    let limit = |server: Option<u16>| of_server(history, kind, &|seen: &Observation| seen.server == server);
    servers.into_iter().map(|server| (server, limit(server))).collect()
}

/// The limit of those observations that count: what nothing newer contradicts, or what recurs although others
/// outlive it.
fn of_server(history: &History, kind: Kind, counts: &dyn Fn(&Observation) -> bool) -> IdleLimit {
    let plain = uncontradicted(history, kind, counts);
    // Where a silent timer rules a part, what nothing newer contradicts is chance; what was heard is not.
    let plain = match silent::find(history, kind, counts) {
        Some(part) if !plain.exact && is_no_longer(&part, &plain) => part,
        Some(_) | None => plain,
    };
    let killing = killing::find(history, kind, counts);
    match killing.or_else(|| recurring::find(history, kind, counts)) {
        Some(recurring) if is_no_longer(&recurring, &plain) => recurring,
        Some(_) | None => plain,
    }
}

/// Whether one limit is as short as another, or the other is none.
fn is_no_longer(one: &IdleLimit, other: &IdleLimit) -> bool {
    other.upper.is_none_or(|upper| one.upper.is_some_and(|age| age <= upper))
}

/// Reads the limit by what nothing newer contradicts.
///
/// Newer evidence wins: a survival outweighs every older death at or below its age, a death every older
/// survival at or above its age. What is outweighed outweighs nothing itself, so a stray death or a
/// stray survival is forgotten as soon as one observation contradicts it. Two observations in a row
/// that are outweighed together are no strays: the limit moved, and everything older of their sort is
/// dropped with them. A survivor that keeps an older setting than the dead outweighs none of them.
fn uncontradicted(history: &History, kind: Kind, counts: &dyn Fn(&Observation) -> bool) -> IdleLimit {
    let mut survivals = Side::new();
    let mut deaths = Side::new();
    let newest_deaths = newest_deaths(history, kind, counts);
    let is_usable = |seen: &&Observation| {
        seen.kind == kind
            && seen.age.is_finite()
            && seen.age > 0.0
            && counts(seen)
            && !(seen.is_survival() && keeps_an_older_setting(seen, &newest_deaths))
    };
    for (rank, seen) in history.iter().rev().filter(is_usable).enumerate() {
        let (age, at) = (seen.age, seen.at);
        match seen.fate {
            Fate::Lived => {
                add_survival(&mut survivals, &mut deaths, Standing { rank, age, at, exact: false });
            }
            Fate::Died { exact, .. } if seen.is_bounding_death() => {
                let outweighed = survivals.longest >= age;
                if outweighed {
                    deaths.drop_outweighed(rank, age, oldest(&survivals.standing, |s| s.age >= age));
                } else if !deaths.dropped {
                    survivals.streak_ends(|lost| lost >= age);
                    deaths.push(Standing { rank, age, at, exact });
                    if exact {
                        let age = age - heard(age);
                        add_survival(&mut survivals, &mut deaths, Standing { rank, age, at, exact });
                    }
                }
            }
            Fate::Died { .. } => {}
        }
    }
    summarize(&survivals, &deaths)
}

fn newest_deaths<'a>(
    history: &'a History,
    kind: Kind,
    counts: &dyn Fn(&Observation) -> bool,
) -> Vec<&'a Observation> {
    let is_one = |seen: &&Observation| seen.kind == kind && seen.is_bounding_death() && counts(seen);
    history.iter().rev().filter(is_one).take(NEWEST_DEATHS).collect()
}

/// Whether a survivor shows no more than that it was born before a timer was set anew: two that are younger
/// died at one shorter age while it still lived on.
fn keeps_an_older_setting(survivor: &Observation, deaths: &[&Observation]) -> bool {
    let born = survivor.born();
    let mut younger: Vec<f64> = deaths
        .iter()
        .filter(|death| death.at < survivor.at && death.born() > born + BORN_TOGETHER_SECONDS)
        .map(|death| death.age)
        .filter(|age| age + heard(*age) < survivor.age)
        .collect();
    younger.sort_by(f64::total_cmp);
    younger.windows(2).any(|pair| pair[1] - pair[0] <= heard(pair[1]))
}

/// Where to look at an upper bound again that probes found, both in seconds: a little above it, where
/// what dies bears it out. [`IdleLimit::below`] says why.
pub fn above(upper: f64) -> f64 {
    upper + beside(upper)
}

fn beside(age: f64) -> f64 {
    BESIDE_SECONDS.min(probed(age) / 2.0)
}

fn second_shortest(mut ages: Vec<f64>) -> Option<f64> {
    (ages.len() > 1).then(|| *ages.select_nth_unstable_by(1, f64::total_cmp).1)
}

fn summarize(survivals: &Side, deaths: &Side) -> IdleLimit {
    let lower = survivals.standing.iter().map(|s| s.age).fold(0.0, f64::max);
    let shortest = deaths.standing.iter().min_by(|a, b| a.age.total_cmp(&b.age)).copied();
    // What was seen before an observation that contradicts the bound bears nothing out.
    let lower_doubt = deaths.newest_outweighed(|age| age <= lower && age * DOUBT_RATIO >= lower);
    let upper_doubt = survivals.newest_outweighed(|age| {
        shortest.is_some_and(|death| age >= death.age && age <= death.age * DOUBT_RATIO)
    });
    let bears_lower_out = |s: &Standing| {
        let apart = if s.exact { heard(lower) } else { probed(lower) };
        s.rank < lower_doubt && s.age >= lower - apart
    };
    let bears_upper_out = |d: &Standing, shortest: Standing| {
        // One that was found dead a little above an age that was heard died of it.
        let apart = if shortest.exact { heard(shortest.age) } else { probed(shortest.age) };
        d.rank < upper_doubt && d.age <= shortest.age + apart
    };
    let near_lower: Vec<Standing> = survivals.standing.iter().copied().filter(bears_lower_out).collect();
    let near_upper: Vec<Standing> =
        deaths.standing.iter().copied().filter(|d| shortest.is_some_and(|s| bears_upper_out(d, s))).collect();
    let undoubted = || deaths.standing.iter().filter(|death| death.rank < upper_doubt);
    let trusted = survivals.standing.iter().copied().filter(|survival| survival.rank < lower_doubt);
    let borne_out = longest_pair(trusted.collect()).zip(shortest_pair(undoubted().copied().collect()));
    let newest = near_lower.iter().chain(&near_upper).map(|s| s.at).fold(f64::NEG_INFINITY, f64::max);
    IdleLimit {
        lower,
        survived: survivals.standing.iter().filter(|s| !s.exact).map(|s| s.age).fold(0.0, f64::max),
        upper: shortest.map(|death| death.age),
        exact: shortest.is_some_and(|death| death.exact),
        evidence_at: newest.is_finite().then_some(newest),
        deaths: near_upper.len(),
        survivals: near_lower.len(),
        confirmed: near_upper.len() >= ENOUGH && near_lower.len() >= ENOUGH,
        upper_in_doubt: near_upper.len() < ENOUGH && upper_doubt < usize::MAX,
        lower_in_doubt: near_lower.len() < ENOUGH && lower_doubt < usize::MAX,
        certain: second_shortest(undoubted().map(|d| d.age).collect()),
        standing_deaths: undoubted().count(),
        share: if shortest.is_some() { 1.0 } else { 0.0 },
        spread_to: None,
        others_live_to: 0.0,
        server: None,
        borne_out,
    }
}

#[cfg(test)]
mod tests;
