//! Companions: other deaths at one age. A timer strikes at one age again and again; a person's KILL
//! strikes once, and a restart strikes every age at one instant.

use super::culprit::Culprit;
use super::kind::Kind;
use super::observation::{Fate, History};

/// Two ages that differ by less than this, in seconds, are one age ...
const SAME_SECONDS: f64 = 0.5;
/// ... or by less than this share: timers of long ages fire late by more.
const SAME_SHARE: f64 = 0.02;
/// Deaths closer in time than this, in seconds, are one event.
const SAME_INSTANT_SECONDS: f64 = 0.3;
/// How many of the newest deaths are looked at: what happened long ago is another story.
const NEWEST: usize = 50;

/// How many earlier idle canaries died at this age (seconds) while nothing was being sent, at another
/// instant than `now` (seconds since the Unix epoch).
pub fn same_age(history: &History, age: f64, now: f64) -> usize {
    history
        .iter()
        .rev()
        .filter_map(|seen| match seen.fate {
            Fate::Died { exact: true, culprit, .. }
                if seen.kind == Kind::Idle && culprit != Culprit::ServerRestart =>
            {
                Some((seen.age, seen.at))
            }
            Fate::Died { .. } | Fate::Lived => None,
        })
        .take(NEWEST)
        .filter(|(other, at)| {
            (other - age).abs() <= SAME_SECONDS.max(SAME_SHARE * age)
                && (now - at).abs() > SAME_INSTANT_SECONDS
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ending::Ending;
    use crate::domain::observation::Observation;

    fn death(at: f64, age: f64) -> Observation {
        let fate = Fate::Died { ending: Ending::Fin, exact: true, culprit: Culprit::Unknown };
        Observation { at, kind: Kind::Idle, age, fate }
    }

    #[test]
    fn one_age_at_several_instants_is_company() {
        let mut history = History::default();
        for observation in [death(10.0, 4.0), death(14.1, 4.02), death(20.0, 4.0), death(20.0, 2.0)] {
            history.push(observation);
        }
        assert_eq!(same_age(&history, 4.0, 30.0), 3);
        assert_eq!(same_age(&history, 4.0, 20.1), 2, "the one of this instant is the same event");
        assert_eq!(same_age(&history, 8.0, 30.0), 0);
    }
}
