//! What speaks of one death: the others that died, those that live on, and the twins.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::Case;
use crate::domain::culprit::companions::{
    Spared, Struck, are_kills_read, are_kills_too_few, is_before_its_age, is_counted_with_another_age,
    killed_before, kills_near, kills_there, same_age, same_instant,
};
use crate::domain::culprit::lost_state::{Beside, Life, Sent, Stories, Story, Told};
use crate::domain::culprit::{Culprit, Evidence, twins};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tolerance::{ONE_AGE, is_one_age};
use crate::domain::limit::{IdleLimit, met_at};
use crate::prober::epoch::Epoch;
use crate::prober::flights::Flights;
use crate::prober::life::Death;

/// Others whose deaths are not decided, and those that live on.
pub(super) struct Others {
    /// Those that died while nothing was being sent.
    told: Vec<Struck>,
    /// All that died while nothing was being sent, and when they did; witnesses may still be heard.
    struck: Vec<Struck>,
    /// Those that are well.
    spared: Vec<Spared>,
    /// Those that were found dead in silence.
    pub(super) silent: Vec<(Option<u16>, Life)>,
    /// What the history was told of those.
    foretold: Vec<Observation>,
}

impl Others {
    pub(super) fn of(cases: &[Case], past: &VecDeque<Struck>, flights: &Flights, epoch: &Epoch) -> Self {
        let exact = || cases.iter().filter(|case| case.death.exact);
        let stirred = flights.iter().filter_map(|(_, flight)| {
            let (at, age) = flight.struck()?;
            let (kind, server) = (flight.kind, flight.server);
            Some(Struck { kind, age, at: epoch.unix(at), server, kills: None })
        });
        let silent = cases.iter().filter(|case| case.is_silent());
        Self {
            told: exact().map(Case::as_struck).collect(),
            spared: flights
                .iter()
                // A tool that kills idle sessions spares one that works, whatever its age.
                .filter(|(_, flight)| matches!(flight.kind, Kind::Idle | Kind::Keepalive))
                .filter(|(_, flight)| flight.is_well())
                .filter_map(|(_, flight)| {
                    let born = epoch.unix(flight.born?);
                    Some(Spared { born, server: flight.server })
                })
                .collect(),
            struck: exact().map(Case::as_struck).chain(stirred).chain(past.iter().copied()).collect(),
            silent: silent.map(|case| (case.server, case.life())).collect(),
            foretold: cases.iter().filter_map(|case| case.foretold).collect(),
        }
    }

    fn is_foretold(&self, seen: &Observation) -> bool {
        self.foretold.contains(seen)
    }
}

/// When those idle canaries were born, in seconds since the Unix epoch, that are or were alive past the age
/// of a death, at or after it.
pub(super) fn births_of_survivors(
    case: &Case,
    history: &History,
    flights: &Flights,
    epoch: &Epoch,
    now: Instant,
) -> Vec<f64> {
    let past = case.death.age + ONE_AGE.either(case.death.age);
    let is_here = |server| history.is_one_server(case.server, server);
    let survived = |seen: &&Observation| {
        seen.kind == Kind::Idle && seen.is_survival() && seen.age > past && is_here(seen.server)
    };
    let in_flight = flights.iter().filter(|(_, flight)| flight.outlives(past, now) && is_here(flight.server));
    in_flight
        .filter_map(|(_, flight)| flight.born.map(|born| epoch.unix(born)))
        .chain(
            history
                .iter()
                .rev()
                .take_while(|seen| seen.at >= case.at)
                .filter(survived)
                .map(Observation::born),
        )
        .collect()
}

/// What a canary of a kind sends while it waits for its probe. What keeps one busy sends nothing.
pub(super) const fn sent_by(kind: Kind) -> Sent {
    match kind {
        Kind::Idle | Kind::Busy => Sent::Nothing,
        Kind::Keepalive => Sent::Keepalive,
        Kind::Active => Sent::Pings,
    }
}

/// The age in seconds at which all that are silent for so long are closed, and heard to be.
pub(super) fn closed_at(server: Option<u16>, limit: &IdleLimit) -> f64 {
    let is_of_all = limit.confirmed && limit.exact && limit.share >= 1.0;
    let is_here = limit.server.is_none() || limit.server == server;
    if is_of_all && is_here { limit.longest() } else { f64::INFINITY }
}

/// What the lives of one server tell together of its silent deaths.
pub(super) fn told_by_all(
    server: Option<u16>,
    history: &History,
    others: &Others,
    closed_at: f64,
) -> Stories {
    let is_here = |other| history.is_one_server(server, other);
    let life = |seen: &Observation| {
        let is_dead = match seen.fate {
            // Whose end was heard lived until then: its flow was known.
            Fate::Lived | Fate::Died { exact: true, .. } => false,
            Fate::Died {
                exact: false,
                culprit: Culprit::NetworkIdleTimeout | Culprit::NetworkStateLoss | Culprit::Unknown,
                ..
            } => true,
            // What was closed is explained.
            Fate::Died { .. } => return None,
        };
        let life = Life { born: seen.born(), seen: seen.at, is_dead, sent: sent_by(seen.kind) };
        Some(life.closed_at(closed_at))
    };
    let told = history.iter().rev().filter(|seen| is_here(seen.server) && !others.is_foretold(seen));
    let open = others.silent.iter().filter(|(server, _)| is_here(*server));
    let open = open.map(|(_, life)| life.closed_at(closed_at));
    Stories::of(&Beside::of(told.filter_map(life), open.collect()))
}

/// What is told of a server so far, of its silent deaths.
pub(super) fn told_before(
    server: Option<u16>,
    history: &History,
    others: &Others,
    limit: &IdleLimit,
) -> Told {
    /// So many of the newest deaths are looked at ...
    const NEWEST: usize = 16;
    /// ... and so many that were lost one after the other, of lives that no one moment ended, are flows forgotten here
    /// and there.
    const ONE_AFTER_THE_OTHER: usize = 3;
    /// A limit is told by those that are decided as far as one of them died at less than so many times its age.
    const NEAR: f64 = 1.15;
    let is_silent_limit = limit.confirmed && !limit.exact;
    let limit = limit.upper.filter(|_| is_silent_limit && (limit.server.is_none() || limit.server == server));
    let found_dead = history.iter().rev().filter(|seen| {
        let is_silent = matches!(seen.fate, Fate::Died { exact: false, .. });
        is_silent && history.is_one_server(server, seen.server) && !others.is_foretold(seen)
    });
    let (mut lost, mut before, mut struck) = (0, f64::INFINITY, f64::INFINITY);
    for seen in found_dead.take(NEWEST).filter(|seen| seen.kind == Kind::Idle) {
        let Fate::Died { culprit, .. } = seen.fate else { continue };
        if culprit == Culprit::NetworkStateLoss && seen.at <= before {
            lost += 1;
            before = seen.born();
        } else if culprit == Culprit::NetworkIdleTimeout {
            struck = struck.min(seen.age);
        }
    }
    // That of those which are not decided yet may be what they were lost at together.
    let is_borne_out = |limit: f64| struck <= limit * NEAR;
    let timer =
        limit.map(|limit| if is_borne_out(limit) { limit } else { struck }).filter(|at| at.is_finite());
    Told { timer, is_here_and_there: timer.is_none() && lost >= ONE_AFTER_THE_OTHER }
}

/// Whether the limit that stands at an age, in seconds, rules a part of the connections only.
fn is_of_a_part(limit: &IdleLimit, age: f64) -> bool {
    limit.upper.is_some_and(|upper| limit.server.is_none() && limit.share < 1.0 && is_one_age(upper, age))
}

/// All that is known of a death now.
pub(super) fn evidence(case: &Case, history: &History, others: &Others, idle: &IdleLimit) -> Evidence {
    let Death { ending, age, exact, error_code, wait_timeout, row, restarted, proxy_seen, .. } = case.death;
    let one = case.as_struck();
    let kills_there = kills_there(history, &others.told, &one);
    let others_are_killed =
        case.death.kills.is_some_and(|kills| kills.rose > 0 && kills_there.may_be_of_others(kills.others));
    Evidence {
        kind: case.kind,
        ending,
        age,
        exact,
        error_code,
        wait_timeout,
        row,
        restarted,
        proxy_seen,
        killed: case.death.killed().filter(|_| !others_are_killed),
        others_are_killed,
        same_age: same_age(history, &others.told, &others.struck, &one),
        before_its_age: is_before_its_age(history, &others.told, &one),
        kills_near: if others_are_killed { 0 } else { kills_near(history, &others.told, &one) },
        killed_before: killed_before(history, &one),
        died_unkilled: kills_there.died_unkilled(),
        kills_strike: kills_there.strike() && !others_are_killed,
        are_kills_read: are_kills_read(history, &others.told),
        counted_with_another_age: is_counted_with_another_age(history, &others.struck, &one),
        same_instant: same_instant(history, &others.struck, &others.spared, &one),
        too_few_kills: are_kills_too_few(history, &others.struck, &others.spared, &one),
        outlived: case.outlived,
        outlived_by_younger: case.outlived_by_younger,
        of_a_part: is_of_a_part(idle, age),
        story: case.story.map_or(Story::Open, |(_, story)| story),
        twins: twins::read(history, &asked_of_twins(case, history, idle, &others.told)),
    }
}

/// How many idle canaries died at an age, in seconds, and of how many that reached it: by the history, and those that wait.
fn met(history: &History, age: f64, waiting: &[Struck]) -> Option<(usize, usize)> {
    let is_near = |struck: &&Struck| struck.kind == Kind::Idle && is_one_age(struck.age, age);
    let (mut count, mut first) = (0, f64::INFINITY);
    for struck in waiting.iter().filter(is_near) {
        (count, first) = (count + 1, first.min(struck.at));
    }
    let outlived = || {
        let past = age + ONE_AGE.either(age);
        let since = history.iter().rev().take_while(|seen| seen.at >= first);
        since.filter(|seen| seen.kind == Kind::Idle && seen.is_survival() && seen.age > past).count()
    };
    match met_at(history, age) {
        Some((died, all)) => Some((died + count, all + count)),
        None if count > 0 => Some((count, count + outlived())),
        None => None,
    }
}

/// The limit that twins are asked of for a death: at its age, with the share of the connections that it rules. `waiting` are
/// those that died while nothing was being sent and are not decided yet.
pub(super) fn asked_of_twins(
    case: &Case,
    history: &History,
    idle: &IdleLimit,
    waiting: &[Struck],
) -> IdleLimit {
    let age = case.death.age;
    let (share, standing_deaths) = match is_of_a_part(idle, age) {
        true => (idle.share, idle.standing_deaths),
        false if case.outlived_by_younger => met(history, age, waiting)
            .filter(|(died, all)| died < all)
            .map_or((twins::UNKNOWN_SHARE, 0), |(died, all)| (died as f64 / all as f64, died)),
        false => (1.0, 0),
    };
    let (exact, server) = (case.death.exact, case.server);
    IdleLimit { upper: Some(age), exact, share, standing_deaths, server, ..IdleLimit::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::ending::Ending;

    #[test]
    fn the_share_that_meets_an_age_counts_those_that_wait() {
        let (ending, culprit) = (Ending::Fin, Culprit::Unknown);
        let closed = Fate::Died { ending, exact: true, culprit, recurs: false, killed: Some(false) };
        let seen = |at: f64, age: f64, fate| Observation { at, kind: Kind::Idle, age, fate, server: None };
        let waits = |at: f64, kind| Struck { kind, age: 5.0, at, server: None, kills: None };
        let waiting = [waits(20.0, Kind::Idle), waits(30.0, Kind::Idle), waits(31.0, Kind::Keepalive)];
        let mut history = History::default();
        for at in [10.0, 25.0, 40.0] {
            history.push(seen(at, 10.0, Fate::Lived));
        }
        assert_eq!((met(&history, 5.0, &waiting), met(&history, 5.0, &[])), (Some((2, 4)), None));
        history.push(seen(141.0, 5.0, closed));
        history.push(seen(160.0, 10.0, Fate::Lived));
        history.push(seen(170.0, 5.0, closed));
        assert_eq!((met(&history, 5.0, &waiting), met(&history, 5.0, &[])), (Some((4, 5)), Some((2, 3))));
    }

    #[test]
    fn a_timer_is_told_by_those_that_are_decided() {
        let (ending, culprit) = (Ending::Silence, Culprit::NetworkIdleTimeout);
        let fate = Fate::Died { ending, exact: false, culprit, recurs: false, killed: None };
        let found_dead = |at: f64, age: f64| Observation { at, kind: Kind::Idle, age, fate, server: None };
        let open = [found_dead(1000.0, 40.0), found_dead(1000.1, 40.02)];
        let limit = IdleLimit { upper: Some(40.0), confirmed: true, share: 1.0, ..IdleLimit::default() };
        let told = |decided: &[f64]| {
            let mut history = History::default();
            let decided = (0..).zip(decided).map(|(place, age)| found_dead(100.0 * f64::from(place), *age));
            decided.chain(open).for_each(|seen| history.push(seen));
            let (told, struck, spared, silent) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let others = Others { told, struck, spared, silent, foretold: open.to_vec() };
            told_before(None, &history, &others, &limit).timer
        };
        assert_eq!(told(&[]), None, "they may have been lost at one moment");
        assert_eq!(told(&[53.0, 53.2]), Some(53.0), "these are told, and of a longer one");
        assert_eq!(told(&[53.0, 41.0]), Some(40.0), "it was narrowed");
    }
}
