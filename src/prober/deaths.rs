//! Deaths: each is held until its evidence decides, then counted once, observed once and told once.

use tokio::time::Instant;

use super::epoch::Epoch;
use super::flights::Flights;
use super::life::Death;
use crate::domain::companions::{BORN_TOGETHER_SECONDS, same_age, same_instant, scatter};
use crate::domain::culprit::{Conclusion, Evidence, conclude};
use crate::domain::kind::Kind;
use crate::domain::observation::{History, Observation};
use crate::domain::twins;

/// A death waits for its twins and companions this many times its age ...
const PATIENCE_LENGTHS: f64 = 2.5;
/// ... and this much longer, in seconds: they must connect, and may be retried.
const PATIENCE_SECONDS: f64 = 20.0;
/// Those that die at one instant are known to be many this much later, in seconds.
const INSTANT_SECONDS: f64 = 1.0;

/// Deaths whose culprit is not decided yet.
#[derive(Debug, Default)]
pub(super) struct Undecided(Vec<Case>);

#[derive(Debug)]
struct Case {
    kind: Kind,
    death: Death,
    /// When it was learnt, in seconds since the Unix epoch.
    at: f64,
    /// When it began to be idle, in seconds since the Unix epoch.
    born: f64,
    /// Until when it waits, in seconds since the Unix epoch.
    until: f64,
    /// An idle canary was seen alive past its age.
    outlived: bool,
    /// One born no earlier was.
    outlived_by_younger: bool,
}

/// A death with its culprit.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) kind: Kind,
    pub(super) death: Death,
    /// When it was learnt, in seconds since the Unix epoch.
    pub(super) at: f64,
    pub(super) conclusion: Conclusion,
}

impl Undecided {
    /// Takes a death in.
    pub(super) fn open(&mut self, kind: Kind, born: Option<Instant>, death: Death, epoch: &Epoch) {
        let at = epoch.now();
        let born = born.map_or(at - death.age, |born| epoch.unix(born));
        let until = at + PATIENCE_LENGTHS * death.age + PATIENCE_SECONDS;
        self.0.push(Case { kind, death, at, born, until, outlived: false, outlived_by_younger: false });
    }

    /// Decides what can be decided now; at the end (`last_call`), everything.
    pub(super) fn review(
        &mut self,
        history: &History,
        flights: &Flights,
        epoch: &Epoch,
        last_call: bool,
    ) -> Vec<Decided> {
        let now = Instant::now();
        let unix_now = epoch.unix(now);
        let mut decided = Vec::new();
        let mut waiting: Vec<Case> = Vec::new();
        let others = Others::of(&self.0, flights, epoch);
        for mut case in self.0.drain(..) {
            let survivors = births_of_survivors(&case, history, flights, epoch, now);
            case.outlived |= !survivors.is_empty();
            case.outlived_by_younger |=
                survivors.iter().any(|born| *born >= case.born - BORN_TOGETHER_SECONDS);
            let conclusion = conclude(&evidence(&case, history, &others));
            let may_be_one_of_many = case.company_until().is_some_and(|until| unix_now < until);
            if conclusion.decided && !may_be_one_of_many || last_call || unix_now >= case.until {
                let Case { kind, death, at, .. } = case;
                decided.push(Decided { kind, death, at, conclusion });
            } else {
                waiting.push(case);
            }
        }
        self.0 = waiting;
        decided
    }

    /// The ages of the dead that wait, in seconds, the newest first: twins decide about them.
    pub(super) fn newest_age(&self) -> Option<f64> {
        self.0.iter().rev().find(|case| case.kind == Kind::Idle).map(|case| case.death.age)
    }

    /// When the first of them has waited long enough; it and `now` in seconds since the Unix epoch.
    pub(super) fn next_deadline(&self, now: f64) -> Option<f64> {
        let company = |case: &Case| case.company_until().filter(|until| *until > now);
        self.0.iter().map(|case| company(case).unwrap_or(case.until)).min_by(f64::total_cmp)
    }
}

impl Case {
    /// When it died, or was found dead, in seconds since the Unix epoch.
    fn struck(&self) -> f64 {
        self.born + self.death.age
    }

    /// Until when others may turn out to have died with it, in seconds since the Unix epoch; `None` where they
    /// would change nothing.
    fn company_until(&self) -> Option<f64> {
        let could_matter = self.death.exact && !self.death.restarted && self.death.error_code.is_none();
        could_matter.then_some(self.struck() + INSTANT_SECONDS)
    }
}

/// The ages and times of others whose deaths are not decided, in seconds, and in seconds since the Unix epoch.
struct Others {
    /// Idle canaries that died while nothing was being sent, and when that was learnt.
    idle: Vec<(f64, f64)>,
    /// All that died while nothing was being sent, and when they did; witnesses may still be heard.
    struck: Vec<(f64, f64)>,
    /// When those were born that are well, in seconds since the Unix epoch.
    spared: Vec<f64>,
}

impl Others {
    fn of(cases: &[Case], flights: &Flights, epoch: &Epoch) -> Self {
        let exact = || cases.iter().filter(|case| case.death.exact);
        let stirred = flights.iter().filter_map(|(_, flight)| flight.struck());
        Self {
            idle: exact()
                .filter(|case| case.kind == Kind::Idle)
                .map(|case| (case.death.age, case.at))
                .collect(),
            spared: flights
                .iter()
                .filter(|(_, flight)| flight.is_well())
                .filter_map(|(_, flight)| flight.born.map(|born| epoch.unix(born)))
                .collect(),
            struck: exact()
                .map(|case| (case.death.age, case.struck()))
                .chain(stirred.map(|(at, age)| (age, epoch.unix(at))))
                .collect(),
        }
    }
}

/// When those idle canaries were born, in seconds since the Unix epoch, that are or were alive past the age
/// of a death, at or after it.
fn births_of_survivors(
    case: &Case,
    history: &History,
    flights: &Flights,
    epoch: &Epoch,
    now: Instant,
) -> Vec<f64> {
    let past = case.death.age + scatter(case.death.age);
    let survived = |seen: &&Observation| seen.kind == Kind::Idle && seen.is_survival() && seen.age > past;
    let in_flight = flights.iter().filter(|(_, flight)| flight.outlives(past, now));
    in_flight
        .filter_map(|(_, flight)| flight.born.map(|born| epoch.unix(born)))
        .chain(
            history
                .iter()
                .rev()
                .take_while(|seen| seen.at >= case.at)
                .filter(survived)
                .map(|seen| seen.at - seen.age),
        )
        .collect()
}

/// All that is known of a death now.
fn evidence(case: &Case, history: &History, others: &Others) -> Evidence {
    let Death { ending, age, exact, error_code, wait_timeout, row, restarted, proxy_seen, .. } = case.death;
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
        same_age: same_age(history, &others.idle, age, case.at),
        same_instant: same_instant(&others.struck, &others.spared, age, case.struck()),
        outlived: case.outlived,
        outlived_by_younger: case.outlived_by_younger,
        twins: twins::read(history, age),
    }
}
