//! Deaths: each is held until its evidence decides, then counted once, observed once and told once.

use tokio::time::Instant;

use super::epoch::Epoch;
use super::flights::Flights;
use super::life::Death;
use crate::domain::companions::{same_age, scatter};
use crate::domain::culprit::{Conclusion, Evidence, conclude};
use crate::domain::kind::Kind;
use crate::domain::observation::{Fate, History, Observation};
use crate::domain::twins;

/// A death waits for its twins and companions this many times its age ...
const PATIENCE_LENGTHS: f64 = 2.5;
/// ... and this much longer, in seconds: they must connect, and may be retried.
const PATIENCE_SECONDS: f64 = 20.0;

/// Deaths whose culprit is not decided yet.
#[derive(Debug, Default)]
pub(super) struct Undecided(Vec<Case>);

#[derive(Debug)]
struct Case {
    kind: Kind,
    death: Death,
    /// When it was learnt, in seconds since the Unix epoch.
    at: f64,
    /// Until when it waits, in seconds since the Unix epoch.
    until: f64,
    /// An idle canary was seen alive past its age.
    outlived: bool,
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
    pub(super) fn open(&mut self, kind: Kind, death: Death, epoch: &Epoch) {
        let at = epoch.now();
        let until = at + PATIENCE_LENGTHS * death.age + PATIENCE_SECONDS;
        self.0.push(Case { kind, death, at, until, outlived: false });
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
        let mut decided = Vec::new();
        let mut waiting: Vec<Case> = Vec::new();
        let others: Vec<(f64, f64)> = self
            .0
            .iter()
            .filter(|case| case.kind == Kind::Idle && case.death.exact)
            .map(|case| (case.death.age, case.at))
            .collect();
        for mut case in self.0.drain(..) {
            case.outlived |= is_outlived(&case, history, flights, now);
            let conclusion = conclude(&evidence(&case, history, &others));
            if conclusion.decided || last_call || epoch.unix(now) >= case.until {
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

    /// When the first of them has waited long enough, in seconds since the Unix epoch.
    pub(super) fn next_deadline(&self) -> Option<f64> {
        self.0.iter().map(|case| case.until).min_by(f64::total_cmp)
    }
}

/// Whether an idle canary is or was alive past the age of a death, at or after it.
fn is_outlived(case: &Case, history: &History, flights: &Flights, now: Instant) -> bool {
    let past = case.death.age + scatter(case.death.age);
    let survived = |seen: &Observation| {
        seen.kind == Kind::Idle && seen.fate == Fate::Lived && seen.at >= case.at && seen.age > past
    };
    flights.iter().any(|(_, flight)| flight.outlives(past, now))
        || history.iter().rev().take_while(|seen| seen.at >= case.at).any(survived)
}

/// All that is known of a death now. `others` are the ages and times of idle deaths that wait too.
fn evidence(case: &Case, history: &History, others: &[(f64, f64)]) -> Evidence {
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
        same_age: same_age(history, others, age, case.at),
        outlived: case.outlived,
        twins: twins::read(history, age),
    }
}
