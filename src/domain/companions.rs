//! Companions: other deaths at one age. A timer strikes at one age again and again; a person's KILL
//! strikes once, and a restart strikes every age at one instant.

use super::culprit::Culprit;
use super::kind::Kind;
use super::observation::{Fate, History};

/// Two ages that differ by less than this, in seconds, are one age: a tool that kills idle sessions
/// looks once a second ...
const SAME_SECONDS: f64 = 1.1;
/// ... or by less than this share: timers of long ages fire late by more.
const SAME_SHARE: f64 = 0.02;
/// Deaths closer in time than this, in seconds, are one event.
const SAME_INSTANT_SECONDS: f64 = 0.3;
/// Two that began to be idle this close to each other, in seconds, are of one age: launches are spread.
pub const BORN_TOGETHER_SECONDS: f64 = 2.0;
/// How many of the newest deaths are looked at: what happened long ago is another story.
const NEWEST: usize = 50;

/// How far two deaths' ages may lie apart and still be one age, in seconds.
pub fn scatter(age: f64) -> f64 {
    SAME_SECONDS.max(SAME_SHARE * age)
}

/// How many idle canaries died at this age (seconds) while nothing was being sent, at another instant
/// than `at` (seconds since the Unix epoch): those of the history, and `others` not yet in it, each an
/// age and a time. What struck before somebody younger survived this age is another story.
pub fn same_age(history: &History, others: &[(f64, f64)], age: f64, at: f64) -> usize {
    let mut youngest_survivor = f64::NEG_INFINITY;
    history
        .iter()
        .rev()
        .filter(|seen| seen.kind == Kind::Idle)
        .filter_map(move |seen| match seen.fate {
            Fate::Lived if seen.age > age + scatter(age) => {
                youngest_survivor = youngest_survivor.max(seen.at - seen.age);
                None
            }
            Fate::Died { exact: true, culprit, .. }
                if culprit != Culprit::ServerRestart && seen.at - seen.age > youngest_survivor =>
            {
                Some((seen.age, seen.at))
            }
            Fate::Died { .. } | Fate::Lived => None,
        })
        .take(NEWEST)
        .chain(others.iter().copied())
        .filter(|(other, when)| {
            (other - age).abs() <= scatter(age) && (at - when).abs() > SAME_INSTANT_SECONDS
        })
        .count()
}

/// How many others died at this instant (`at`, seconds since the Unix epoch) at quite other ages than this
/// (seconds). `others` are the age and the time of each, this one among them or not; `spared` is when each of
/// those was born that live on. None, where one was spared: whoever closes everything spares nobody, and a tool
/// that kills idle sessions spares the young.
pub fn same_instant(others: &[(f64, f64)], spared: &[f64], age: f64, at: f64) -> usize {
    if spared.iter().any(|born| *born < at - SAME_INSTANT_SECONDS) {
        return 0;
    }
    let is_company = |&&(other, when): &&(f64, f64)| {
        (at - when).abs() <= SAME_INSTANT_SECONDS && (other - age).abs() > 2.0 * scatter(age.max(other))
    };
    others.iter().filter(is_company).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ending::Ending;
    use crate::domain::observation::Observation;

    fn death(at: f64, age: f64) -> Observation {
        let (ending, culprit) = (Ending::Fin, Culprit::Unknown);
        let fate = Fate::Died { ending, exact: true, culprit, recurs: false };
        Observation { at, kind: Kind::Idle, age, fate }
    }

    #[test]
    fn one_age_at_several_instants_is_company() {
        let mut history = History::default();
        for observation in [death(10.0, 4.0), death(14.1, 4.02), death(20.0, 4.0), death(20.0, 2.5)] {
            history.push(observation);
        }
        assert_eq!(same_age(&history, &[], 4.0, 30.0), 3);
        assert_eq!(
            same_age(&history, &[(4.1, 15.0)], 4.0, 20.1),
            3,
            "the one of this instant is the same event"
        );
        assert_eq!(same_age(&history, &[], 8.0, 30.0), 0);
    }

    #[test]
    fn only_a_younger_survivor_makes_it_another_story() {
        let mut history = History::default();
        history.push(death(100.0, 60.0));
        let survivor = |at, age| Observation { at, kind: Kind::Idle, age, fate: Fate::Lived };
        history.push(survivor(150.0, 5400.0));
        assert_eq!(same_age(&history, &[], 60.0, 200.0), 1, "that one was born under another setting");
        history.push(survivor(250.0, 90.0));
        assert_eq!(same_age(&history, &[], 60.0, 300.0), 0);
    }

    #[test]
    fn many_ages_at_one_instant_are_one_event() {
        let others = [(4.0, 100.0), (60.0, 100.1), (300.0, 99.9), (61.0, 100.0), (25.0, 90.0)];
        let company = |spared: &[f64]| same_instant(&others, spared, 60.0, 100.1);
        assert_eq!(company(&[]), 2, "61 s is the same age, 25 s another time");
        assert_eq!(company(&[100.2]), 2, "one that was born after it was not spared");
        assert_eq!(company(&[97.0]), 0, "a young one lives on");
        assert_eq!(same_instant(&others[1..2], &[], 60.0, 100.1), 0);
    }
}
