//! Limits that recur although others outlive them: a timer that rules a part of the connections only, or one
//! that looks at its clock so seldom that it strikes at ages apart.
//!
//! Deaths that cluster at one age are a timer's, whatever others of that age survive. It stands while the
//! cluster recurs, and is withdrawn when so many outlived it since that its share would be no chance.

use super::IdleLimit;
use crate::domain::culprit::Culprit;
use crate::domain::culprit::companions::SELDOM_RATIO;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{ONE_AGE, ONE_INSTANT_SECONDS, heard, probed};

/// So many of the newest deaths are looked at.
const NEWEST_DEATHS: usize = 64;
/// So many deaths at one age, at as many instants, are a cluster.
const CLUSTER: usize = 3;
/// So many deaths that lie apart are a band.
const BAND: usize = 4;
/// So many are one where who does it is known, and may rule a part of the connections.
const PAIR: usize = 2;
/// A cluster that nobody outlived so far is withdrawn when those that outlive it since would be rarer than this.
const ALL_MET_IT_BELOW: f64 = 0.06;
/// A cluster is withdrawn when those that outlived it since would, by its share so far, be rarer than this.
const WITHDRAWN_BELOW: f64 = 1e-4;
/// How often a session is closed by something else at just this age, at most.
const NOISE_AT_ONE_AGE: f64 = 0.005;
/// Survivors below a timer of a part count when it is this unlikely that all of them were on the other part.
const ALL_ON_THE_OTHER: f64 = 0.05;
/// Where those that died and those that outlived it follow one another in so few rows that chance would do that more seldom
/// than this, a timer of all was set anew, and back again.
const SET_ANEW_BELOW: f64 = 5e-4;
/// How unlikely it must be that noise killed so many.
const NO_NOISE: f64 = 1e-4;

/// What one life tells of an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Died,
    Outlived,
}

/// What the lives tell of an age since the first death there.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// So many died ...
    died: usize,
    /// ... so many outlived it between them ...
    between: usize,
    /// ... so many since the last one ...
    since: usize,
    /// ... and so many are they together.
    all: usize,
}

impl Counted {
    /// Of these, the newest first; `None` where nobody died.
    fn of(trials: &[Trial]) -> Option<Self> {
        let is_death = |trial: &Trial| *trial == Trial::Died;
        let since = trials.iter().position(is_death)?;
        let all = trials.iter().rposition(is_death)? + 1;
        let died = trials.iter().filter(|trial| is_death(trial)).count();
        Some(Self { died, between: all - since - died, since, all })
    }
}

/// A death that may belong to a cluster.
#[derive(Debug, Clone, Copy)]
struct Death {
    age: f64,
    at: f64,
    exact: bool,
    killed: bool,
    culprit: Culprit,
}

impl Death {
    /// Whether it is by one that may lie on the way of a part of the connections only: a server has one setting.
    const fn may_be_of_a_part(&self) -> bool {
        matches!(self.culprit, Culprit::ProxyIdleTimeout | Culprit::NetworkIdleTimeout)
    }
}

/// The ages that one timer strikes at, in seconds.
#[derive(Debug, Clone, Copy)]
struct Band {
    from: f64,
    to: f64,
    exact: bool,
}

impl Band {
    /// From which age on one that lives outlived it, in seconds: it was heard.
    fn outlived_from(self) -> f64 {
        self.to + ONE_AGE.either(self.to)
    }
}

/// The shortest limit that recurs although others outlive it; `None` where nothing was outlived in between.
pub(super) fn find(
    history: &History,
    kind: Kind,
    counts: &dyn Fn(&Observation) -> bool,
) -> Option<IdleLimit> {
    let deaths = newest_deaths(history, kind, counts);
    let bands = bands(&deaths);
    // What is withdrawn does not stand by the newer half of its deaths.
    let mut withdrawn_to = f64::NEG_INFINITY;
    for (place, band) in bands.iter().copied().enumerate() {
        if band.to <= withdrawn_to || is_set_shorter(&deaths, &bands[..place], band) {
            continue;
        }
        if let Some(limit) = standing(history, kind, counts, &deaths, band) {
            return Some(limit);
        }
        withdrawn_to = withdrawn_to.max(band.to);
    }
    None
}

/// Whether one of the shorter bands struck again and again since this one struck last: where that is gone now, what was set
/// before it is not there again until it strikes.
fn is_set_shorter(deaths: &[Death], shorter: &[Band], band: Band) -> bool {
    let is_in = |death: &&Death, band: &Band| death.exact && death.age >= band.from && death.age <= band.to;
    // The newest come first.
    let newer = || deaths.iter().take_while(|death| !is_in(death, &band));
    shorter.iter().filter(|other| other.to < band.from).any(|other| {
        let known = |death: &&Death| is_in(death, other) && death.culprit != Culprit::Unknown;
        let struck: Vec<Death> = newer().filter(known).copied().collect();
        instants(&struck) >= PAIR
    })
}

/// How many lives died at an age, and of how many that reached it on every server, since the first of those deaths; `None`
/// where none did.
pub(super) fn met(history: &History, kind: Kind, age: f64, spread_to: Option<f64>) -> Option<(usize, usize)> {
    let deaths = newest_deaths(history, kind, &|_| true);
    let near = |death: &&Death| (death.age - age).abs() <= ONE_AGE.either(age);
    let exact = deaths.iter().find(near)?.exact;
    let (before, top) = match exact {
        true => (heard(age), age + ONE_AGE.either(age)),
        false => (probed(age), age * SELDOM_RATIO),
    };
    let band = Band { from: age - before, to: spread_to.unwrap_or(top), exact };
    // What strays is within the band already; what probes found dead is older than the limit itself.
    let outlived_from = if exact { band.to } else { age + probed(age) };
    let trials = trials(history, kind, &|_| true, band, outlived_from);
    let Counted { died, all, .. } = Counted::of(&trials)?;
    Some((died, all))
}

/// Whether a limit of a part of the connections may still strike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strikes {
    /// How likely it is, if it does, that so many in a row outlived it since it struck last.
    pub(super) chance: f64,
    /// Whether some outlived it between those that it struck: else it may have ruled all, and be gone.
    pub(super) were_some_spared: bool,
}

/// Whether one may still strike that was heard at the one of these ages, in seconds; those that live past the other
/// outlived it.
pub(super) fn still_strikes(
    history: &History,
    kind: Kind,
    counts: &dyn Fn(&Observation) -> bool,
    (age, past): (f64, f64),
) -> Strikes {
    let band = Band { from: age - heard(age), to: past, exact: true };
    let trials = trials(history, kind, counts, band, past);
    let Some(Counted { died, between, since, .. }) = Counted::of(&trials) else {
        return Strikes { chance: 0.0, were_some_spared: false };
    };
    Strikes { chance: chance_of_outliving(died, between, since), were_some_spared: between > 0 }
}

fn newest_deaths(history: &History, kind: Kind, counts: &dyn Fn(&Observation) -> bool) -> Vec<Death> {
    history
        .iter()
        .rev()
        .filter(|seen| seen.kind == kind && seen.is_bounding_death() && counts(seen))
        .filter_map(|seen| match seen.fate {
            Fate::Died { exact, killed, culprit, .. } => {
                Some(Death { age: seen.age, at: seen.at, exact, killed: killed == Some(true), culprit })
            }
            Fate::Lived => None,
        })
        .take(NEWEST_DEATHS)
        .collect()
}

/// Every band that deaths which were heard cluster in.
fn bands(deaths: &[Death]) -> Vec<Band> {
    let mut bands = Vec::new();
    let mut sorted: Vec<Death> = deaths.iter().copied().filter(|death| death.exact).collect();
    sorted.sort_by(|a, b| a.age.total_cmp(&b.age));
    for (place, first) in sorted.iter().enumerate() {
        let up_to = |to: f64| {
            let near: Vec<Death> =
                sorted[place..].iter().take_while(|death| death.age <= to).copied().collect();
            let last = near.last().map_or(first.age, |death| death.age);
            (instants(&near), last, near.iter().all(Death::may_be_of_a_part))
        };
        let from = first.age;
        let (count, to, may_be_a_part) = up_to(from + ONE_AGE.either(from));
        let (many, far, _) = up_to(from * SELDOM_RATIO);
        if many >= BAND && strikes_apart(&sorted[place..], from, far) {
            bands.push(Band { from, to: far, exact: true });
            break;
        }
        // A pair within a cluster is no other timer.
        let is_within = bands.last().is_some_and(|band| from <= band.to);
        if count >= CLUSTER || count >= PAIR && may_be_a_part && !is_within {
            bands.push(Band { from, to, exact: true });
        }
    }
    bands
}

/// At how many instants these died.
fn instants(deaths: &[Death]) -> usize {
    let mut times: Vec<f64> = deaths.iter().map(|death| death.at).collect();
    times.sort_by(f64::total_cmp);
    times.dedup_by(|a, b| (*a - *b).abs() <= ONE_INSTANT_SECONDS);
    times.len()
}

/// Whether deaths between two ages lie apart as those of one that looks seldom: neither at one age, nor lower ones
/// of the past and higher ones of now, as those of a timer that was set anew.
fn strikes_apart(sorted: &[Death], from: f64, to: f64) -> bool {
    let mut within: Vec<Death> = sorted.iter().copied().filter(|death| death.age <= to).collect();
    within.sort_by(|a, b| a.at.total_cmp(&b.at));
    let middle = (from + to) / 2.0;
    let is_high = |death: &Death| death.age > middle;
    let turns = within.windows(2).filter(|pair| is_high(&pair[0]) != is_high(&pair[1])).count();
    let newest = &within[within.len().saturating_sub(BAND)..];
    let width = |deaths: &[Death]| {
        let ages = || deaths.iter().map(|death| death.age);
        ages().fold(0.0, f64::max) - ages().fold(f64::INFINITY, f64::min)
    };
    // A tool that KILLs is known to look seldom; of others it takes more to believe.
    let enough = if within.iter().all(|death| death.killed) { 2 } else { 4 };
    let apart = 2.0 * ONE_AGE.either(from);
    to - from > apart && width(newest) > apart / 2.0 && turns >= enough
}

/// What each life that reached a band tells of it, the newest moment first: those that lived `beyond`, in seconds, outlived it.
fn trials(
    history: &History,
    kind: Kind,
    counts: &dyn Fn(&Observation) -> bool,
    band: Band,
    beyond: f64,
) -> Vec<Trial> {
    let Band { from, to, exact } = band;
    // One that lives tells of the moment when it passed the band, however long it lives on.
    let passed = |seen: &Observation| (seen.born() + beyond, Trial::Outlived);
    let mut trials: Vec<(f64, Trial)> = history
        .iter()
        .rev()
        .filter(|seen| seen.kind == kind && counts(seen))
        .filter_map(|seen| match seen.fate {
            Fate::Died { exact: heard, .. } if seen.is_bounding_death() => {
                let is_in = seen.age >= from - 1e-9 && seen.age <= to + 1e-9;
                match (is_in && heard == exact, heard && seen.age > beyond) {
                    (true, _) => Some((seen.at, Trial::Died)),
                    (false, true) => Some(passed(seen)),
                    (false, false) => None,
                }
            }
            Fate::Lived if seen.age > beyond => Some(passed(seen)),
            Fate::Died { .. } | Fate::Lived => None,
        })
        .collect();
    trials.sort_by(|a, b| b.0.total_cmp(&a.0));
    trials.into_iter().map(|(_, trial)| trial).collect()
}

/// The limit of a band that stands, where others outlived it between its deaths.
fn standing(
    history: &History,
    kind: Kind,
    counts: &dyn Fn(&Observation) -> bool,
    deaths: &[Death],
    band: Band,
) -> Option<IdleLimit> {
    let Band { from, to, .. } = band;
    let trials = trials(history, kind, counts, band, band.outlived_from());
    let Counted { died, between, since, all } = Counted::of(&trials)?;
    let is_apart = to - from > 2.0 * ONE_AGE.either(from);
    let in_band = |death: &&Death| death.exact && death.age >= from && death.age <= to;
    // The first that outlive it may be on another way, or show that it is gone: more of them tell.
    let is_known = deaths.iter().filter(in_band).all(Death::may_be_of_a_part);
    let is_open = since > 0 && is_known;
    let withdrawn_below = if between == 0 && !is_apart { ALL_MET_IT_BELOW } else { WITHDRAWN_BELOW };
    if between == 0 && !is_apart && !is_open || chance_of_outliving(died, between, since) < withdrawn_below {
        return None;
    }
    // What strikes all now is told by those that nothing newer contradicts.
    if since == 0 && between > 0 && chance_of_so_few_rows(&trials[..all]) < SET_ANEW_BELOW {
        return None;
    }
    let share = died as f64 / all as f64;
    if !is_known && !is_no_noise(died, all, NOISE_AT_ONE_AGE) {
        return None;
    }
    let mut ages: Vec<f64> = deaths.iter().filter(in_band).map(|death| death.age).collect();
    ages.sort_by(f64::total_cmp);
    let newest_at = deaths.iter().filter(in_band).map(|death| death.at).fold(f64::NEG_INFINITY, f64::max);
    let below = from - heard(from);
    let mut survived: Vec<f64> = history
        .iter()
        .filter(|seen| seen.kind == kind && seen.is_survival() && counts(seen) && seen.age < from)
        .map(|seen| seen.age)
        .collect();
    let others_live_to = history
        .iter()
        .filter(|seen| seen.kind == kind && seen.is_survival() && counts(seen) && seen.age > to)
        .map(|seen| seen.age)
        .fold(0.0, f64::max);
    survived.sort_by(|a, b| b.total_cmp(a));
    let longest = survived_by_all(&survived, if between == 0 { 1.0 } else { share });
    let lower = below.max(longest);
    Some(IdleLimit {
        lower,
        survived: longest,
        upper: Some(from),
        exact: true,
        evidence_at: newest_at.is_finite().then_some(newest_at),
        deaths: died,
        survivals: survived.len().max(died),
        confirmed: true,
        upper_in_doubt: false,
        lower_in_doubt: false,
        certain: ages.get(1).copied(),
        standing_deaths: died,
        share: if between == 0 && is_apart { 1.0 } else { share },
        spread_to: is_apart.then_some(to),
        others_live_to: if between == 0 && is_apart { 0.0 } else { others_live_to },
        server: None,
        borne_out: None,
    })
}

/// The longest of the ages survived, the longest first, that so many reached that hardly all of them were on the part
/// which a limit of this share leaves alone; zero where none is.
pub(super) fn survived_by_all(longest_first: &[f64], share: f64) -> f64 {
    let enough = (ALL_ON_THE_OTHER.ln() / (1.0 - share).ln()).ceil().max(1.0);
    longest_first.get(enough as usize - 1).copied().unwrap_or(0.0)
}

/// How likely it is that so many more outlive a cluster at which `died` died and `outlived` did not, whatever
/// its share may be.
fn chance_of_outliving(died: usize, outlived: usize, more: usize) -> f64 {
    (0..more).fold(1.0, |chance, place| {
        chance * (outlived + 1 + place) as f64 / (died + outlived + 2 + place) as f64
    })
}

/// How likely it is that those that died and those that outlived an age follow one another in so few rows or fewer, where each
/// met it by chance: the runs test of Wald and Wolfowitz.
fn chance_of_so_few_rows(trials: &[Trial]) -> f64 {
    let rows = 1 + trials.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let died = trials.iter().filter(|trial| **trial == Trial::Died).count();
    let outlived = trials.len() - died;
    // The logarithm of the number of ways to choose so many of all.
    let ways = |all: usize, chosen: usize| -> f64 {
        (0..chosen).map(|k| ((all - k) as f64 / (chosen - k) as f64).ln()).sum()
    };
    // Each sort is divided into so many rows.
    let divided = |rows_of_dead: usize, rows_of_others: usize| {
        let is_possible = (1..=died).contains(&rows_of_dead) && (1..=outlived).contains(&rows_of_others);
        let chance = || ways(died - 1, rows_of_dead - 1) + ways(outlived - 1, rows_of_others - 1);
        if is_possible { (chance() - ways(trials.len(), died)).exp() } else { 0.0 }
    };
    let of_rows = |rows: usize| divided(rows / 2, rows.div_ceil(2)) + divided(rows.div_ceil(2), rows / 2);
    (2..=rows).map(of_rows).sum()
}

/// Whether so many of all that reached an age died there that noise of this share is no explanation.
fn is_no_noise(died: usize, all: usize, noise: f64) -> bool {
    let mut tail = 0.0;
    for count in died..=all {
        let ways: f64 = (0..count).map(|k| ((all - k) as f64 / (count - k) as f64).ln()).sum();
        tail += (ways + count as f64 * noise.ln() + (all - count) as f64 * (1.0 - noise).ln()).exp();
    }
    tail < NO_NOISE
}

#[cfg(test)]
mod tests;
