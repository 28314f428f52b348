//! The limit of a tool that KILLs who was idle too long: it looks every so often, so its deaths lie up to one look
//! apart. That is one limit between two ages, and what lives between them says nothing against it.

use super::IdleLimit;
use crate::domain::culprit::Culprit;
use crate::domain::culprit::companions::{SELDOM_RATIO, chance_of_missing};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{ONE_AGE, ONE_INSTANT_SECONDS, heard};

/// So many of the newest deaths are looked at.
const NEWEST_DEATHS: usize = 64;
/// So many, each at an instant of its own, are a tool's.
const ENOUGH: usize = 2;
/// So many at least that live past all of its ages show that it looks for others now, or is gone ...
const GONE: usize = 2;
/// ... where it would be rarer than this that it spared them.
const SPARED_BELOW: f64 = 2e-3;
/// Older deaths belong to another setting where it would be rarer than this that all newer ones missed theirs.
const SET_ANEW_BELOW: f64 = 0.01;

/// The ages of the deaths, in seconds, and the number of their instants.
#[derive(Debug, Clone, Copy)]
struct Looks {
    from: f64,
    to: f64,
    deaths: usize,
    instants: usize,
    /// When the newest and the oldest were seen, in seconds since the Unix epoch.
    newest_at: f64,
    oldest_at: f64,
}

impl Looks {
    fn of(death: &Observation) -> Self {
        let Observation { age, at, .. } = *death;
        Self { from: age, to: age, deaths: 1, instants: 1, newest_at: at, oldest_at: at }
    }

    /// How likely it is, at most, that it strikes as before, and yet its deaths lie where they do and so many lived on at these
    /// ages, in seconds: one that looks seldom may not have looked yet.
    fn chance_of_sparing(&self, lived: &[f64]) -> f64 {
        /// So many ages that it may strike up to are tried.
        const STEPS: usize = 32;
        let Self { from, to, instants, .. } = *self;
        let (least, most) = (to + ONE_AGE.either(to), from * SELDOM_RATIO);
        let up_to = (0..=STEPS).map(|step| least + (most - least).max(0.0) * step as f64 / STEPS as f64);
        let chance = |top: f64| {
            let spared = lived.iter().map(|age| ((top - age) / (top - from)).max(0.0));
            chance_of_missing((from, to), (from, top), instants) * spared.product::<f64>()
        };
        up_to.map(chance).fold(0.0, f64::max)
    }

    /// With an older death, where one setting explains it beside the newer ones.
    fn with(self, older: &Observation) -> Option<Self> {
        let (from, to) = (self.from.min(older.age), self.to.max(older.age));
        let all_missed = chance_of_missing((self.from, self.to), (from, to), self.instants);
        if to > from * SELDOM_RATIO || all_missed < SET_ANEW_BELOW {
            return None;
        }
        let is_another_instant = self.oldest_at - older.at > ONE_INSTANT_SECONDS;
        Some(Self {
            from,
            to,
            deaths: self.deaths + 1,
            instants: self.instants + usize::from(is_another_instant),
            oldest_at: older.at,
            ..self
        })
    }
}

/// The limit of a tool that KILLs, where one strikes now.
pub(super) fn find(
    history: &History,
    kind: Kind,
    counts: &dyn Fn(&Observation) -> bool,
) -> Option<IdleLimit> {
    let mut deaths = history
        .iter()
        .rev()
        .filter(|seen| seen.kind == kind && counts(seen) && is_by_kill(seen))
        .take(NEWEST_DEATHS);
    let first = Looks::of(deaths.next()?);
    let looks = deaths.try_fold(first, |looks, older| looks.with(older).ok_or(looks));
    let looks = looks.unwrap_or_else(|whole| whole);
    let Looks { from, to, deaths, instants, newest_at, oldest_at } = looks;
    if instants < ENOUGH {
        return None;
    }
    let past = to + ONE_AGE.either(to);
    let is_past =
        |seen: &&Observation| seen.kind == kind && seen.is_survival() && seen.age > past && counts(seen);
    // The newest first.
    let lived = || history.iter().rev().take_while(|seen| seen.at > oldest_at).filter(is_past);
    let ages: Vec<f64> = lived().map(|seen| seen.age).collect();
    // Those that outlive it between its deaths make it a part's, which is another reading.
    let (newer, between) = ages.split_at(lived().take_while(|seen| seen.at > newest_at).count());
    let is_rare = |lived: &[f64]| looks.chance_of_sparing(lived) < SPARED_BELOW;
    if newer.len() >= GONE && is_rare(newer) || !between.is_empty() && is_rare(between) {
        return None;
    }
    let survived = history
        .iter()
        .filter(|seen| seen.kind == kind && seen.is_survival() && counts(seen) && seen.age < from)
        .map(|seen| seen.age)
        .fold(0.0, f64::max);
    Some(IdleLimit {
        // It may strike sooner than it did so far, by as much as one that looks each second.
        lower: from - ONE_AGE.either(from).min(from / 2.0),
        survived,
        upper: Some(from),
        exact: true,
        evidence_at: Some(newest_at),
        deaths,
        survivals: deaths,
        confirmed: true,
        upper_in_doubt: false,
        lower_in_doubt: false,
        certain: Some(to),
        standing_deaths: deaths,
        share: 1.0,
        spread_to: (to - from > heard(from)).then_some(to),
        others_live_to: 0.0,
        server: None,
        borne_out: None,
    })
}

fn is_by_kill(seen: &Observation) -> bool {
    let is_kill =
        matches!(seen.fate, Fate::Died { exact: true, culprit: Culprit::ServerKill, killed: Some(true), .. });
    is_kill && seen.is_bounding_death()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::ending::Ending;
    use crate::domain::limit::idle_limit;

    fn history(lives: &[(f64, bool)]) -> History {
        let (ending, culprit) = (Ending::Fin, Culprit::ServerKill);
        let killed = Fate::Died { ending, exact: true, culprit, recurs: true, killed: Some(true) };
        let mut history = History::default();
        for (number, &(age, lived)) in lives.iter().enumerate() {
            let fate = if lived { Fate::Lived } else { killed };
            let at = 100.0 * (number + 1) as f64;
            history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
        }
        history
    }

    #[test]
    fn a_tool_that_looks_every_so_often_is_one_limit_that_stays() {
        for (why, lives) in [
            ("each second", vec![(5.53, false), (5.87, false), (5.18, false), (6.01, false), (4.9, false)]),
            (
                "some live between its ages",
                vec![
                    (8.77, false),
                    (9.31, false),
                    (8.08, false),
                    (10.0, true),
                    (8.54, false),
                    (10.0, true),
                    (9.97, true),
                    (10.7, false),
                    (10.0, true),
                ],
            ),
            ("one outlives it", vec![(5.0, false), (5.5, false), (9.0, true), (5.2, false)]),
            (
                "one lives on before the next look",
                vec![(8.73, false), (8.17, false), (10.0, true), (8.62, false), (8.89, false), (10.9, false)],
            ),
        ] {
            for until in 2..=lives.len() {
                let told = idle_limit(&history(&lives[..until]), Kind::Idle);
                let died = lives[..until].iter().filter(|(_, lived)| !lived);
                let shortest = died.map(|(age, _)| *age).fold(f64::INFINITY, f64::min);
                let is_told = told.confirmed && told.upper == Some(shortest) && told.lower < shortest;
                assert!(is_told, "{why}, {until}: {told:?}");
            }
        }
    }

    #[test]
    fn one_that_is_gone_is_withdrawn_by_lives_of_the_next_rung_too() {
        for (from, to, watched, deaths) in [
            (360.0, 410.0, 420.0, 8),
            (360.0, 410.0, 420.0, 3),
            (300.0, 310.0, 320.0, 3),
            (28_800.0, 28_860.0, 30_000.0, 3),
        ] {
            let ages = (0..deaths).map(|place| from + (to - from) * f64::from(place) / f64::from(deaths - 1));
            let mut lives: Vec<(f64, bool)> = ages.map(|age| (age, false)).collect();
            assert_eq!(idle_limit(&history(&lives), Kind::Idle).upper, Some(from));
            let withdrawn = (1..40).find(|_| {
                lives.push((watched, true));
                idle_limit(&history(&lives), Kind::Idle).upper.is_none()
            });
            assert!(withdrawn.is_some_and(|lives| lives <= 30), "({from}, {to}): {withdrawn:?}");
        }
    }

    #[test]
    fn one_that_is_set_anew_is_followed_and_one_that_is_gone_is_withdrawn() {
        let upper = |lives: &[(f64, bool)]| idle_limit(&history(lives), Kind::Idle).upper;
        let lower = [(20.0, false), (20.4, false), (20.8, false), (5.1, false), (5.6, false)];
        assert_eq!(upper(&lower), Some(5.1));
        let mut higher = vec![(5.1, false), (5.6, false), (5.2, false)];
        higher.extend([(7.4, false), (7.9, false), (7.2, false), (7.7, false), (7.5, false), (7.1, false)]);
        assert_eq!(upper(&higher), Some(7.1));
        let mut gone = vec![(5.1, false), (5.6, false), (5.2, false), (9.0, true)];
        assert_eq!(upper(&gone), Some(5.1));
        gone.push((9.0, true));
        assert_eq!(upper(&gone), None);
    }
}
