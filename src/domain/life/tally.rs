//! The tally: how many lives ended how at each age, as a picture of a path is drawn from it.

use std::collections::BTreeMap;

use super::kind::Kind;
use super::observation::{Fate, History};
use super::tolerance::is_one_age;
use crate::domain::culprit::Culprit;

/// The lives of one kind that ended at one age, as near to each other as one timer's.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// What these canaries did.
    pub kind: Kind,
    /// The shortest of their ages, in seconds.
    pub from: f64,
    /// The longest of their ages, in seconds.
    pub to: f64,
    /// How many answered their probe.
    pub survived: usize,
    /// How many died, by whom.
    pub deaths: BTreeMap<Culprit, usize>,
}

/// The lives that a history remembers, by kind and in rising order of age.
pub fn tally(history: &History) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for kind in Kind::ALL {
        let of_kind = history.iter().filter(|seen| seen.kind == kind && seen.age.is_finite());
        let mut lives: Vec<(f64, Fate)> = of_kind.map(|seen| (seen.age, seen.fate)).collect();
        lives.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (age, fate) in lives {
            let open = tallies.last_mut().filter(|of| of.kind == kind && is_one_age(of.from, age));
            let of_age = match open {
                Some(of_age) => of_age,
                None => {
                    tallies.push(Tally { kind, from: age, to: age, survived: 0, deaths: BTreeMap::new() });
                    let Some(new) = tallies.last_mut() else { continue };
                    new
                }
            };
            of_age.to = age;
            match fate {
                Fate::Lived => of_age.survived += 1,
                Fate::Died { culprit, .. } => *of_age.deaths.entry(culprit).or_default() += 1,
            }
        }
    }
    tallies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::ending::Ending;
    use crate::domain::life::observation::Observation;

    #[test]
    fn lives_are_told_together_that_ended_at_one_age_and_no_others() {
        let mut history = History::default();
        let died =
            |culprit| Fate::Died { ending: Ending::Fin, exact: true, culprit, recurs: false, killed: None };
        let lives = [
            (Kind::Idle, 60.0, died(Culprit::ProxyIdleTimeout)),
            (Kind::Idle, 25.0, Fate::Lived),
            (Kind::Idle, 60.2, died(Culprit::ProxyIdleTimeout)),
            (Kind::Idle, 60.1, died(Culprit::ServerKill)),
            (Kind::Idle, 25.0, Fate::Lived),
            (Kind::Active, 60.0, Fate::Lived),
        ];
        for (at, (kind, age, fate)) in lives.into_iter().enumerate() {
            history.push(Observation { at: at as f64, kind, age, fate, server: None });
        }
        let told = tally(&history);
        let brief: Vec<(Kind, f64, f64, usize)> =
            told.iter().map(|of| (of.kind, of.from, of.to, of.survived)).collect();
        assert_eq!(
            brief,
            [(Kind::Idle, 25.0, 25.0, 2), (Kind::Idle, 60.0, 60.2, 0), (Kind::Active, 60.0, 60.0, 1)]
        );
        assert_eq!(
            told[1].deaths,
            BTreeMap::from([(Culprit::ServerKill, 1), (Culprit::ProxyIdleTimeout, 2)])
        );
    }
}
