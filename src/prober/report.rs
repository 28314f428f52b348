//! What a path's loop tells the rest of the exporter, and people: its report and its event lines.

use std::collections::{BTreeMap, VecDeque};

use super::Settings;
use super::deaths::Decided;
use crate::domain::companions::scatter;
use crate::domain::culprit::{Culprit, Row};
use crate::domain::ending::Ending;
use crate::domain::kind::Kind;
use crate::domain::limit::{IdleLimit, idle_limit};
use crate::domain::mismatch::{Deaths, Killer};
use crate::domain::observation::{Fate, History};
use crate::domain::remedy::Remedies;
use crate::domain::suspension::Suspension;
use crate::domain::twins::killer_changed_at;
use crate::domain::void::VoidReason;

/// For how long a death that bounds no age is spoken of, in seconds.
const STRAYS_COUNT_SECONDS: f64 = 86_400.0;

/// What is known of a path now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PathReport {
    /// What is known of each kind's limit; kinds without evidence are left out.
    pub limits: Vec<(Kind, IdleLimit)>,
    /// Who ends idle canaries at the limit, and how, where one stands.
    pub killer: Option<Killer>,
    /// Every sort of death of idle canaries that counts now, with its number: those at ages that nothing
    /// newer survived, by who strikes now; of the ones that bound no age, such as a KILL, those of the last
    /// day.
    pub deaths: Vec<Deaths>,
    /// What the twins showed.
    pub remedies: Remedies,
    /// The longest stall seen, in seconds: from sending on a dead connection to knowing.
    pub longest_stall: Option<f64>,
    /// Whether the rows of canaries that died at the limit had left the server's list. `None` where that was not
    /// seen.
    pub takes_the_row: Option<bool>,
}

/// Of the newest idle canaries that died at an age that bounds others' too: that age in seconds, and whether the row
/// had left the server's list.
#[derive(Debug, Default)]
pub(super) struct RowsOfTheDead(VecDeque<(f64, bool)>);

impl RowsOfTheDead {
    /// Deaths that are remembered, at most.
    const MOST: usize = 64;
    /// The newest deaths that must agree.
    const NEWEST: usize = 2;

    /// Takes note of a death.
    pub(super) fn note(&mut self, age: f64, row: Row) {
        let gone = match row {
            Row::Gone => true,
            Row::Present => false,
            Row::Unknown => return,
        };
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back((age, gone));
    }

    /// Whether the rows leave the list at this limit. One that stayed is enough to say that they do not.
    pub(super) fn leave_at(&self, limit: &IdleLimit) -> Option<bool> {
        let upper = limit.upper?;
        let at_limit = |age: f64| (age - upper).abs() <= 2.0 * scatter(upper);
        let newest = self.0.iter().rev().filter(|(age, _)| at_limit(*age)).take(Self::NEWEST);
        newest.map(|(_, gone)| *gone).reduce(|a, b| a && b)
    }
}

impl PathReport {
    /// What a history says; the longest stall is in seconds.
    pub fn new(history: &History, longest_stall: Option<f64>) -> Self {
        // Each reads the whole history: once a kind.
        let limits = Kind::ALL.map(|kind| (kind, idle_limit(history, kind)));
        let [(_, idle), ..] = limits;
        let mut counts: BTreeMap<(Culprit, Ending), usize> = BTreeMap::new();
        let mut killer = None;
        let newest = history.iter().next_back().map_or(0.0, |seen| seen.at);
        let changed_at = killer_changed_at(history).unwrap_or(f64::NEG_INFINITY);
        let mut survived = 0.0_f64;
        for seen in history.iter().rev().filter(|seen| seen.kind == Kind::Idle) {
            let Fate::Died { ending, culprit, .. } = seen.fate else {
                survived = survived.max(seen.age);
                continue;
            };
            let bounds = seen.is_bounding_death();
            let counts_now = if bounds {
                seen.age > survived && seen.at > changed_at
            } else {
                newest - seen.at <= STRAYS_COUNT_SECONDS
            };
            if counts_now {
                *counts.entry((culprit, ending)).or_default() += 1;
            }
            let at_limit = idle.upper.is_some_and(|upper| (seen.age - upper).abs() <= 2.0 * scatter(upper));
            if bounds && at_limit {
                killer = killer.or(Some(Killer { culprit, ending }));
            }
        }
        Self {
            longest_stall,
            takes_the_row: None,
            remedies: Remedies::read(history, idle.upper),
            killer,
            deaths: counts
                .into_iter()
                .map(|((culprit, ending), count)| Deaths { culprit, ending, count })
                .collect(),
            limits: limits.into_iter().filter(|(_, limit)| limit.evidence_at.is_some()).collect(),
        }
    }

    /// What is known of one kind's limit.
    pub fn limit(&self, kind: Kind) -> IdleLimit {
        self.limits.iter().find(|(known, _)| *known == kind).map(|(_, limit)| *limit).unwrap_or_default()
    }
}

/// Milliseconds are as fine as an event line needs.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

pub(super) fn tell_survival(settings: &Settings, kind: Kind, age: f64) {
    tracing::debug!(
        event = "survival",
        target_name = settings.target,
        path = settings.path,
        kind = kind.label(),
        age_seconds = rounded(age),
        "canary survived its idle age"
    );
}

pub(super) fn tell_death(settings: &Settings, decided: &Decided) {
    let Decided { kind, death, conclusion, .. } = decided;
    tracing::warn!(
        event = "death",
        target_name = settings.target,
        path = settings.path,
        kind = kind.label(),
        age_seconds = rounded(death.age),
        ending = death.ending.label(),
        error_code = death.error_code,
        culprit = conclusion.culprit.label(),
        layer = conclusion.culprit.layer().label(),
        rule = conclusion.rule,
        thread_id = death.thread_id,
        stall_seconds = death.stall.map(rounded),
        wait_timeout_seconds = death.wait_timeout,
        server_uptime_seconds = death.uptime,
        "canary died"
    );
}

pub(super) fn tell_void(settings: &Settings, kind: Kind, reason: VoidReason) {
    // At the end every canary is voided: that is told once, by who stops.
    if reason != VoidReason::Shutdown {
        tracing::info!(
            event = "void",
            target_name = settings.target,
            path = settings.path,
            kind = kind.label(),
            reason = reason.label(),
            "canary's end says nothing and is not counted"
        );
    }
}

/// What to do where the dead take all places.
const GHOSTS: &str = ": the server may still hold so many sessions of dead canaries that --canary.max-connections \
    leaves no room; each ends at its own wait_timeout, or let them be killed (--canary.kill-ghosts)";

pub(super) fn tell_suspension(settings: &Settings, reason: Suspension, suspended: bool) {
    tracing::info!(
        event = "suspension",
        target_name = settings.target,
        path = settings.path,
        reason = reason.label(),
        suspended,
        "launches are {}{}",
        if suspended { "suspended" } else { "resumed" },
        if suspended && reason == Suspension::Ghosts { GHOSTS } else { "" }
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::observation::Observation;

    fn counted(lives: &[(f64, f64, Option<Culprit>)]) -> Vec<(Culprit, usize)> {
        let mut history = History::default();
        for &(at, age, culprit) in lives {
            let fate = culprit.map_or(Fate::Lived, |culprit| {
                let ending = if culprit == Culprit::PathIdleTimeout { Ending::Silence } else { Ending::Fin };
                Fate::Died { ending, exact: ending == Ending::Fin, culprit, recurs: false }
            });
            history.push(Observation { at, kind: Kind::Idle, age, fate });
        }
        PathReport::new(&history, None).deaths.iter().map(|deaths| (deaths.culprit, deaths.count)).collect()
    }

    #[test]
    fn whether_what_kills_takes_the_row_along() {
        let limit = IdleLimit { lower: 7.0, upper: Some(8.0), ..IdleLimit::default() };
        let mut rows = RowsOfTheDead::default();
        rows.note(8.0, Row::Unknown);
        assert_eq!(rows.leave_at(&limit), None);
        rows.note(8.0, Row::Gone);
        rows.note(25.0, Row::Present);
        assert_eq!(rows.leave_at(&limit), Some(true), "another age is another killer's");
        rows.note(8.1, Row::Present);
        assert_eq!(rows.leave_at(&limit), Some(false), "one that stays is enough");
        assert_eq!(rows.leave_at(&IdleLimit::default()), None);
    }

    #[test]
    fn deaths_of_the_past_are_not_spoken_of() {
        let (path, server, kill) =
            (Some(Culprit::PathIdleTimeout), Some(Culprit::ServerIdleTimeout), Some(Culprit::ServerKill));
        let day = STRAYS_COUNT_SECONDS;
        assert_eq!(counted(&[(0.0, 350.0, path), (500.0, 360.0, path)]), [(Culprit::PathIdleTimeout, 2)]);
        assert_eq!(counted(&[(0.0, 350.0, path), (500.0, 400.0, None)]), [], "lost once, survived since");
        let other = [(0.0, 350.0, path), (500.0, 360.0, path), (900.0, 300.0, server)];
        assert_eq!(counted(&other), [(Culprit::ServerIdleTimeout, 1)], "somebody else strikes now");
        let killed = [(0.0, 5.0, kill), (day, 25.0, None)];
        assert_eq!(counted(&killed), [(Culprit::ServerKill, 1)]);
        assert_eq!(counted(&[(0.0, 5.0, kill), (day + 1.0, 25.0, None)]), []);
    }
}
