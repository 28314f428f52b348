//! The twins: canaries of the other kinds, launched only where they decide something, at an age just
//! past the one that idle canaries die at. Their lives and deaths are the signature of a layer.

use super::companions::scatter;
use super::culprit::{Culprit, Twins};
use super::kind::Kind;
use super::observation::{Fate, History, Observation};

/// The kinds that are launched on demand, the most telling first.
pub const TWINS: [Kind; 3] = [Kind::Busy, Kind::Active, Kind::Keepalive];

/// How far past the limit a twin is probed, as a share of it: timers fire late.
const PAST_SHARE: f64 = 0.05;
/// A settled twin is launched again after this many lengths of the limit ...
const REPEAT_LENGTHS: f64 = 30.0;
/// ... but not before this, in seconds.
const REPEAT_SECONDS: f64 = 3600.0;

/// The kinds whose deaths become advice. One death may be a stray: it is repeated before it is believed.
const REPEATED: [Kind; 2] = [Kind::Keepalive, Kind::Active];

/// The age to probe twins at for a limit, both in seconds.
pub fn probe_age(limit: f64) -> f64 {
    limit * (1.0 + PAST_SHARE) + scatter(limit) + 0.4
}

/// How twins fared at a limit (seconds), as far as the history tells; the newest counts.
pub fn read(history: &History, limit: f64) -> Twins {
    let fared = |kind| telling(history, kind, limit).next().map(|told| told.lived);
    Twins { keepalive: fared(Kind::Keepalive), busy: fared(Kind::Busy), active: fared(Kind::Active) }
}

/// Whether canaries of a kind live past a limit (seconds), as firmly as advice needs it: that they die is
/// said after two deaths in a row. `None` while that is not measured.
pub fn outlives(history: &History, kind: Kind, limit: f64) -> Option<bool> {
    let mut told = telling(history, kind, limit).map(|told| told.lived);
    match (told.next()?, told.next()) {
        (true, _) => Some(true),
        (false, before) => before,
    }
}

/// The twins to launch now for a limit (seconds), with their ages in seconds. `in_flight` are the kinds
/// that are held already; `now` is seconds since the Unix epoch.
pub fn plan(history: &History, limit: f64, in_flight: &[Kind], now: f64) -> Vec<(Kind, f64)> {
    let rest = REPEAT_SECONDS.max(REPEAT_LENGTHS * limit);
    TWINS
        .into_iter()
        .filter(|kind| !in_flight.contains(kind))
        .filter(|&kind| {
            let mut told = telling(history, kind, limit);
            let (newest, before) = (told.next(), told.next());
            let is_lone_death = REPEATED.contains(&kind)
                && newest.is_some_and(|told| !told.lived)
                && before.is_none_or(|told| told.lived);
            is_lone_death || newest.is_none_or(|told| now - told.at >= rest)
        })
        .map(|kind| (kind, probe_age(limit)))
        .collect()
}

/// What one twin says of a limit.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// When, in seconds since the Unix epoch.
    at: f64,
    /// Whether it outlived the limit.
    lived: bool,
}

/// What twins of a kind say of this limit (seconds), the newest first: that they lived past it, or died at
/// it. One that died exactly, and well past it, outlived it and died of something else. What was seen
/// while another one killed at about that age is of the past.
fn telling(history: &History, kind: Kind, limit: f64) -> impl Iterator<Item = Told> {
    let since = killer_changed_at(history);
    let is_of_now = move |seen: &&Observation| since.is_none_or(|since| seen.at > since);
    let is_near = move |age: f64| age >= limit && age <= 1.5 * probe_age(limit);
    history.iter().rev().take_while(is_of_now).filter(move |seen| seen.kind == kind).filter_map(move |seen| {
        let lived = match seen.fate {
            Fate::Died { culprit: Culprit::ServerRestart, .. } => return None,
            Fate::Died { exact: true, .. } if (seen.age - limit).abs() <= 2.0 * scatter(limit) => false,
            Fate::Died { exact, .. } if is_near(seen.age) => exact,
            Fate::Lived if is_near(seen.age) => true,
            Fate::Died { .. } | Fate::Lived => return None,
        };
        Some(Told { at: seen.at, lived })
    })
}

/// When the one before who now ends idle canaries struck last, in seconds since the Unix epoch.
pub fn killer_changed_at(history: &History) -> Option<f64> {
    let mut known = history.iter().rev().filter_map(|seen| match seen.fate {
        Fate::Died { culprit, .. }
            if seen.kind == Kind::Idle && seen.is_bounding_death() && culprit != Culprit::Unknown =>
        {
            Some((culprit, seen.at))
        }
        Fate::Died { .. } | Fate::Lived => None,
    });
    let (killer, _) = known.next()?;
    known.find(|(culprit, _)| *culprit != killer).map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ending::Ending;

    fn seen(kind: Kind, at: f64, age: f64, lived: bool) -> Observation {
        let (ending, culprit) = (Ending::Fin, Culprit::Unknown);
        let died = Fate::Died { ending, exact: true, culprit, recurs: false };
        Observation { at, kind, age, fate: if lived { Fate::Lived } else { died } }
    }

    #[test]
    fn all_three_are_launched_once_and_then_rest() {
        let mut history = History::default();
        let kinds = |plan: Vec<(Kind, f64)>| plan.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
        assert_eq!(kinds(plan(&history, 100.0, &[], 0.0)), TWINS);
        assert_eq!(kinds(plan(&history, 100.0, &[Kind::Busy], 0.0)), [Kind::Active, Kind::Keepalive]);
        for kind in TWINS {
            history.push(seen(kind, 10.0, probe_age(100.0), true));
        }
        assert_eq!(outlives(&history, Kind::Keepalive, 100.0), Some(true));
        assert_eq!(plan(&history, 100.0, &[], 11.0), []);
        assert_eq!(kinds(plan(&history, 100.0, &[], 3611.0)), TWINS, "repeated rarely");
        assert_eq!(
            kinds(plan(&history, 200.0, &[], 11.0)),
            TWINS,
            "a change of the limit launches them anew"
        );
    }

    #[test]
    fn a_death_is_repeated_before_it_is_believed() {
        let mut history = History::default();
        let sent = |history: &History, now| plan(history, 100.0, &[Kind::Busy, Kind::Active], now).len();
        let told = |history: &History| outlives(history, Kind::Keepalive, 100.0);
        assert_eq!((sent(&history, 0.0), told(&history)), (1, None));
        history.push(seen(Kind::Keepalive, 10.0, 100.0, false));
        assert_eq!((sent(&history, 11.0), told(&history)), (1, None), "one death may be a stray");
        history.push(seen(Kind::Keepalive, 20.0, 100.1, false));
        assert_eq!((sent(&history, 21.0), told(&history)), (0, Some(false)));
        history.push(seen(Kind::Keepalive, 30.0, probe_age(100.0), true));
        assert_eq!((sent(&history, 31.0), told(&history)), (0, Some(true)));
        history.push(seen(Kind::Keepalive, 40.0, 100.1, false));
        assert_eq!((sent(&history, 41.0), told(&history)), (1, Some(true)), "a stray, until it is repeated");
    }

    #[test]
    fn a_twin_that_dies_of_something_later_outlived_the_limit() {
        let mut history = History::default();
        history.push(seen(Kind::Keepalive, 10.0, 4.0, false));
        history.push(seen(Kind::Active, 10.0, 7.0, false));
        let found =
            Fate::Died { ending: Ending::Silence, exact: false, culprit: Culprit::Unknown, recurs: false };
        history.push(Observation { at: 11.0, kind: Kind::Busy, age: 6.0, fate: found });
        assert_eq!(
            read(&history, 4.0),
            Twins { keepalive: Some(false), busy: Some(false), active: Some(true) }
        );
        assert_eq!(read(&history, 60.0), Twins::default(), "of a limit that moved they say nothing");
        assert_eq!(read(&history, 1.0), Twins::default());
    }

    #[test]
    fn another_killer_at_that_age_is_another_story() {
        let idle_death = |at, culprit| {
            let fate = Fate::Died { ending: Ending::Silence, exact: false, culprit, recurs: false };
            Observation { at, kind: Kind::Idle, age: 100.0, fate }
        };
        let mut history = History::default();
        history.push(idle_death(1.0, Culprit::PathIdleTimeout));
        history.push(seen(Kind::Keepalive, 10.0, probe_age(100.0), true));
        history.push(idle_death(20.0, Culprit::PathIdleTimeout));
        history.push(idle_death(30.0, Culprit::Unknown));
        assert_eq!(read(&history, 100.0).keepalive, Some(true));
        history.push(idle_death(40.0, Culprit::ServerIdleTimeout));
        assert_eq!(read(&history, 100.0), Twins::default());
        assert_eq!(plan(&history, 100.0, &[], 41.0).len(), TWINS.len());
        history.push(seen(Kind::Keepalive, 50.0, 100.0, false));
        assert_eq!(read(&history, 100.0).keepalive, Some(false));
    }

    #[test]
    fn what_they_showed_is_read_at_their_limit_only() {
        let mut history = History::default();
        history.push(seen(Kind::Keepalive, 1.0, 108.0, true));
        history.push(seen(Kind::Busy, 2.0, 100.3, false));
        let twins = read(&history, 100.0);
        assert_eq!(twins, Twins { keepalive: Some(true), busy: Some(false), active: None });
        assert_eq!(read(&history, 300.0), Twins::default());
    }
}
