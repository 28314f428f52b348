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

/// The age to probe twins at for a limit, both in seconds.
pub fn probe_age(limit: f64) -> f64 {
    limit * (1.0 + PAST_SHARE) + scatter(limit) + 0.4
}

/// How twins fared at a limit (seconds), as far as the history tells; the newest counts.
pub fn read(history: &History, limit: f64) -> Twins {
    let fared = |kind| newest(history, kind, limit).map(Observation::is_survival);
    Twins { keepalive: fared(Kind::Keepalive), busy: fared(Kind::Busy), active: fared(Kind::Active) }
}

/// The twins to launch now for a limit (seconds), with their ages in seconds. `in_flight` are the kinds
/// that are held already; `now` is seconds since the Unix epoch.
pub fn plan(history: &History, limit: f64, in_flight: &[Kind], now: f64) -> Vec<(Kind, f64)> {
    let rest = REPEAT_SECONDS.max(REPEAT_LENGTHS * limit);
    TWINS
        .into_iter()
        .filter(|kind| !in_flight.contains(kind))
        .filter(|&kind| newest(history, kind, limit).is_none_or(|seen| now - seen.at >= rest))
        .map(|kind| (kind, probe_age(limit)))
        .collect()
}

/// The newest observation of a kind that speaks of this limit: a life past it, or a death at it. What was
/// seen while another one killed at about that age is of the past.
fn newest(history: &History, kind: Kind, limit: f64) -> Option<&Observation> {
    let since = killer_changed_at(history);
    let is_of_now = |seen: &&Observation| since.is_none_or(|since| seen.at > since);
    history.iter().rev().take_while(is_of_now).filter(|seen| seen.kind == kind).find(|seen| match seen.fate {
        Fate::Lived => seen.age >= limit && seen.age <= 1.5 * probe_age(limit),
        Fate::Died { exact: true, .. } => (seen.age - limit).abs() <= 2.0 * scatter(limit),
        Fate::Died { .. } => seen.age >= limit && seen.age <= 1.5 * probe_age(limit),
    })
}

/// When the one before who now ends idle canaries struck last, in seconds since the Unix epoch.
fn killer_changed_at(history: &History) -> Option<f64> {
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
        assert_eq!(plan(&history, 100.0, &[], 11.0), []);
        assert_eq!(kinds(plan(&history, 100.0, &[], 3611.0)), TWINS, "repeated rarely");
        assert_eq!(
            kinds(plan(&history, 200.0, &[], 11.0)),
            TWINS,
            "a change of the limit launches them anew"
        );
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
