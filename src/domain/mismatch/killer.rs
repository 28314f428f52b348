//! Who ends idle canaries at the limit, and which deaths are to be spoken of.

use std::collections::BTreeMap;

use crate::domain::culprit::Culprit;
use crate::domain::culprit::twins::killer_changed_at;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::ONE_AGE;
use crate::domain::limit::IdleLimit;
use crate::domain::mismatch::{Deaths, Killer};

/// For how long a death that bounds no age is spoken of, in seconds.
pub const STRAYS_COUNT_SECONDS: f64 = 86_400.0;

/// Who strikes at a limit is read from so many of its newest deaths.
const NEWEST_AT_LIMIT: usize = 8;

/// What a history says of who kills.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Toll {
    /// Who ends idle canaries at the limit, and how, where one stands.
    pub killer: Option<Killer>,
    /// Every sort of death of idle canaries that counts now, with its number: those at ages that nothing
    /// newer survived, by who strikes now, or that recur although others outlive them; of the ones that bound no
    /// age, such as a KILL, those of the last day.
    pub deaths: Vec<Deaths>,
}

/// Reads it for a limit of idle canaries. `is_open` tells deaths whose culprit is not decided yet: they bound
/// the ages, and accuse nobody.
pub fn toll(history: &History, idle: &IdleLimit, is_open: impl Fn(&Observation) -> bool) -> Toll {
    let mut counts: BTreeMap<(Culprit, Ending), Deaths> = BTreeMap::new();
    let (mut at_limit_of_its_sort, mut of_another_sort, mut above) = (Vec::new(), Vec::new(), None);
    let newest = history.iter().next_back().map_or(0.0, |seen| seen.at);
    let changed_at = killer_changed_at(history, None, None).unwrap_or(f64::NEG_INFINITY);
    let mut survived = 0.0_f64;
    let is_at = |age: f64| {
        idle.upper.is_some_and(|upper| {
            let slack = 2.0 * ONE_AGE.either(upper);
            age >= upper - slack && age <= idle.spread_to.unwrap_or(upper).max(upper) + slack
        })
    };
    for seen in history.iter().rev().filter(|seen| seen.kind == Kind::Idle) {
        let Fate::Died { ending, exact, culprit, killed, .. } = seen.fate else {
            survived = survived.max(seen.age);
            continue;
        };
        let (bounds, at_limit) = (seen.is_bounding_death(), is_at(seen.age));
        let recurs = at_limit && (idle.share < 1.0 || idle.server.is_some() || idle.spread_to.is_some());
        let counts_now = if bounds {
            recurs || seen.age > survived && seen.at > changed_at
        } else {
            newest - seen.at <= STRAYS_COUNT_SECONDS
        };
        if counts_now && !is_open(seen) {
            // The newest comes first.
            let newest_at = (seen.at >= 0.0).then_some(seen.at as u64);
            let none = Deaths { culprit, ending, count: 0, newest_at, counted_kills: true };
            let deaths = counts.entry((culprit, ending)).or_insert(none);
            deaths.count += 1;
            deaths.counted_kills &= killed == Some(true);
        }
        let is_whose = (idle.server.is_none() || idle.server == seen.server) && !is_open(seen);
        if bounds && at_limit && is_whose {
            // One that was found dead at an age at which others are heard to die says little of who strikes there, and one
            // that nobody is known to have ended says nothing.
            let killers = if exact == idle.exact { &mut at_limit_of_its_sort } else { &mut of_another_sort };
            killers.extend((killers.len() < NEWEST_AT_LIMIT).then_some(Killer { culprit, ending }));
        }
        // Whoever was found dead further up, and nobody lived to that age since, died of it.
        let is_above = !exact && !idle.exact && idle.upper.is_some_and(|upper| seen.age >= upper);
        if bounds && is_above && is_whose && seen.age > survived && seen.at > changed_at {
            above = above.or(Some(Killer { culprit, ending }));
        }
    }
    // Nobody is accused of a limit that only undecided deaths stand for.
    let undecided = Killer { culprit: Culprit::Unknown, ending: Ending::Silence };
    let above = above.filter(|above| above.culprit != Culprit::Unknown);
    let newest_known = |killers: Vec<Killer>| {
        let known = killers.iter().find(|killer| killer.culprit != Culprit::Unknown);
        known.or(killers.first()).copied()
    };
    let killer = newest_known(at_limit_of_its_sort)
        .or(newest_known(of_another_sort))
        .or(above)
        .or_else(|| idle.upper.and_then(|_| newest_open(history, &is_at, undecided)));
    Toll { killer, deaths: counts.into_values().collect() }
}

/// Whether KILL ends those that ping at the age at which they die: most of the newest there.
pub fn are_old_killed(history: &History, lifetime: &IdleLimit) -> bool {
    let Some(upper) = lifetime.upper else { return false };
    let slack = ONE_AGE.either(upper);
    let is_at = |age: f64| age >= upper - slack && age <= lifetime.longest() + slack;
    let newest = history.iter().rev().filter(|seen| seen.kind == Kind::Active && is_at(seen.age));
    let by_whom = newest.filter(|seen| seen.is_bounding_death()).filter_map(|seen| match seen.fate {
        Fate::Died { culprit, .. } => Some(culprit),
        Fate::Lived => None,
    });
    let (all, killed) = by_whom.take(NEWEST_AT_LIMIT).fold((0, 0), |(all, killed), culprit| {
        (all + 1, killed + usize::from(culprit == Culprit::ServerKill))
    });
    2 * killed > all
}

/// Whether a death near a limit bears it out whose culprit is decided. What only probes found may be a flow that was
/// lost at any age: it bears a limit out once its timer is named.
pub fn is_borne_out(
    history: &History,
    kind: Kind,
    limit: &IdleLimit,
    is_open: impl Fn(&Observation) -> bool,
) -> bool {
    /// So much above the limit the search looks, as a share of it.
    const ABOVE: f64 = 0.5;
    let Some(upper) = limit.upper else { return false };
    let near = |age: f64| age >= upper * (1.0 - 1e-9) && age <= upper * (1.0 + ABOVE) + ONE_AGE.either(upper);
    // What was heard tells its age itself: further up it is another limit.
    let is_heard_near = |age: f64| (age - upper).abs() <= ONE_AGE.either(upper);
    history.iter().rev().filter(|seen| seen.kind == kind && near(seen.age)).any(|seen| match seen.fate {
        Fate::Died { exact: true, .. } => {
            is_heard_near(seen.age) && seen.is_bounding_death() && !is_open(seen)
        }
        Fate::Died { ending, culprit, .. } => {
            let is_by_timer = ending.is_found_by_probe() && culprit != Culprit::Unknown;
            is_by_timer && seen.is_bounding_death() && !is_open(seen)
        }
        Fate::Lived => false,
    })
}

/// The way in which canaries die at the limit while nobody is known to do it.
fn newest_open(history: &History, is_at: &dyn Fn(f64) -> bool, unknown: Killer) -> Option<Killer> {
    history.iter().rev().filter(|seen| seen.kind == Kind::Idle && is_at(seen.age)).find_map(|seen| match seen
        .fate
    {
        Fate::Died { ending, .. } if seen.is_bounding_death() => Some(Killer { ending, ..unknown }),
        Fate::Died { .. } | Fate::Lived => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::idle_limit;

    fn counted(lives: &[(f64, f64, Option<Culprit>)]) -> Vec<(Culprit, usize)> {
        let mut history = History::default();
        for &(at, age, culprit) in lives {
            let fate = culprit.map_or(Fate::Lived, |culprit| {
                let is_silent = culprit == Culprit::NetworkIdleTimeout;
                let ending = if is_silent { Ending::Silence } else { Ending::Fin };
                Fate::Died { ending, exact: !is_silent, culprit, recurs: false, killed: None }
            });
            history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
        }
        let idle = idle_limit(&history, Kind::Idle);
        toll(&history, &idle, |_| false).deaths.iter().map(|deaths| (deaths.culprit, deaths.count)).collect()
    }

    #[test]
    fn deaths_of_the_past_are_not_spoken_of() {
        let (path, server, kill) =
            (Some(Culprit::NetworkIdleTimeout), Some(Culprit::ServerIdleTimeout), Some(Culprit::ServerKill));
        let day = STRAYS_COUNT_SECONDS;
        assert_eq!(counted(&[(0.0, 350.0, path), (500.0, 360.0, path)]), [(Culprit::NetworkIdleTimeout, 2)]);
        assert_eq!(counted(&[(0.0, 350.0, path), (500.0, 400.0, None)]), [], "lost once, survived since");
        let other =
            [(0.0, 350.0, path), (500.0, 360.0, path), (900.0, 300.0, server), (950.0, 300.0, server)];
        assert_eq!(counted(&other), [(Culprit::ServerIdleTimeout, 2)], "somebody else strikes now");
        let killed = [(0.0, 5.0, kill), (day, 25.0, None)];
        assert_eq!(counted(&killed), [(Culprit::ServerKill, 1)]);
        assert_eq!(counted(&[(0.0, 5.0, kill), (day + 1.0, 25.0, None)]), []);
        let proxy = Some(Culprit::ProxyIdleTimeout);
        let part = [
            (0.0, 5.0, proxy),
            (20.0, 11.0, None),
            (30.0, 5.0, proxy),
            (40.0, 11.0, None),
            (50.0, 5.0, proxy),
            (70.0, 11.0, None),
        ];
        assert_eq!(counted(&part), [(Culprit::ProxyIdleTimeout, 3)], "a part of the connections dies of it");
    }

    #[test]
    fn one_of_another_sort_or_by_nobody_known_does_not_change_who_strikes() {
        let heard = |culprit| {
            let (ending, killed) = (Ending::Fin, Some(false));
            Fate::Died { ending, exact: true, culprit, recurs: true, killed }
        };
        let silence = Fate::Died {
            ending: Ending::Silence,
            exact: false,
            culprit: Culprit::NetworkIdleTimeout,
            recurs: false,
            killed: None,
        };
        let after = |last: &[Fate]| {
            let mut history = History::default();
            let known = [heard(Culprit::ProxyIdleTimeout); 3];
            for (place, &fate) in known.iter().chain(last).enumerate() {
                let at = 100.0 * (place + 1) as f64;
                let age = if fate == silence { 8.2 } else { 8.0 };
                history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
            }
            let idle = idle_limit(&history, Kind::Idle);
            toll(&history, &idle, |_| false).killer.map(|killer| killer.culprit)
        };
        let proxy = Some(Culprit::ProxyIdleTimeout);
        assert_eq!(after(&[]), proxy);
        assert_eq!(after(&[silence]), proxy, "a flow that was forgotten");
        assert_eq!(after(&[heard(Culprit::Unknown)]), proxy);
        assert_eq!(after(&[heard(Culprit::Unknown); NEWEST_AT_LIMIT]), Some(Culprit::Unknown));
        assert_eq!(after(&[heard(Culprit::ServerIdleTimeout)]), Some(Culprit::ServerIdleTimeout));
    }

    #[test]
    fn whoever_was_found_dead_further_up_tells_who_strikes_while_the_nearest_are_open() {
        let mut history = History::default();
        let fate = Fate::Died {
            ending: Ending::Silence,
            exact: false,
            culprit: Culprit::NetworkIdleTimeout,
            recurs: false,
            killed: None,
        };
        for (at, age, fate) in [(10.0, 4.9, Fate::Lived), (20.0, 10.0, fate), (30.0, 5.01, fate)] {
            history.push(Observation { at, kind: Kind::Idle, age, fate, server: None });
        }
        let killer = |history: &History| {
            let idle = idle_limit(history, Kind::Idle);
            toll(history, &idle, |seen| seen.age < 6.0).killer.map(|killer| killer.culprit)
        };
        assert_eq!(killer(&history), Some(Culprit::NetworkIdleTimeout));
        history.push(Observation { at: 25.0, kind: Kind::Idle, age: 12.0, fate: Fate::Lived, server: None });
        assert_ne!(killer(&history), Some(Culprit::NetworkIdleTimeout), "that age was survived since");
    }
}
