//! What a path's loop tells the rest of the exporter, and people: its report and its event lines.

use std::collections::VecDeque;

use super::Settings;
use super::deaths::Decided;
use super::life::Voided;
use crate::domain::conduct::suspension::Suspension;
use crate::domain::culprit::remedy::Remedies;
use crate::domain::culprit::{Culprit, Row};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{History, Observation};
use crate::domain::life::tolerance::{ONE_AGE, is_one_age};
use crate::domain::life::void::VoidCause;
use crate::domain::limit::{
    IdleLimit, ServerLimit, idle_limit, is_told_by_all_lives, told, where_servers_differ,
};
use crate::domain::mismatch::killer::{Toll, are_old_killed, is_borne_out, toll};
use crate::domain::mismatch::{Deaths, Killer};

/// What is known of a path now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PathReport {
    /// What is known of each kind's limit; kinds without evidence are left out.
    pub limits: Vec<(Kind, IdleLimit)>,
    /// Who ends idle canaries at the limit, and how, where one stands.
    pub killer: Option<Killer>,
    /// Whether KILL ends canaries that ping at the age at which they die.
    pub old_are_killed: bool,
    /// Every sort of death of idle canaries that counts now, with its number: those at ages that nothing
    /// newer survived, by who strikes now; of the ones that bound no age, such as a KILL, those of the last
    /// day.
    pub deaths: Vec<Deaths>,
    /// The limit of each server behind the path, where they do not share one.
    pub servers: Vec<ServerLimit>,
    /// What the twins showed.
    pub remedies: Remedies,
    /// The longest stall seen, in seconds: from sending on a dead connection to knowing.
    pub longest_stall: Option<f64>,
    /// Whether the rows of canaries that died at the limit had left the server's list. `None` where that was not
    /// seen.
    pub takes_the_row: Option<bool>,
    /// The shortest age, in seconds, at which several died, though who strikes there is not decided: there is a limit that is
    /// not told yet.
    pub recurs_at: Option<f64>,
    /// The servers that answer here, by the names that they give themselves, as far as the newest lives tell.
    pub identities: Vec<String>,
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
        let at_limit = |age: f64| (age - upper).abs() <= 2.0 * ONE_AGE.either(upper);
        let newest = self.0.iter().rev().filter(|(age, _)| at_limit(*age)).take(Self::NEWEST);
        newest.map(|(_, gone)| *gone).reduce(|a, b| a && b)
    }
}

/// What is not decided yet of the dead.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<F> {
    /// Tells those deaths that the history knows of.
    pub is_open: F,
    /// The shortest age, in seconds, at which several of the others died that it does not know of.
    pub recurs_at: Option<f64>,
}

impl PathReport {
    /// What a history says; the longest stall is in seconds.
    pub fn new(history: &History, longest_stall: Option<f64>) -> Self {
        Self::default().followed_by(
            history,
            longest_stall,
            Waiting { is_open: |_: &Observation| false, recurs_at: None },
        )
    }

    /// What a history says after this report, of whose deaths some are not decided yet. The longest stall is in
    /// seconds.
    pub fn followed_by(
        &self,
        history: &History,
        longest_stall: Option<f64>,
        undecided: Waiting<impl Fn(&Observation) -> bool>,
    ) -> Self {
        let Waiting { is_open, recurs_at } = undecided;
        // Each reads the whole history: once a kind.
        let found = Kind::ALL.map(|kind| (kind, idle_limit(history, kind)));
        let limits = found.map(|(kind, found)| {
            let limit = found.told();
            // What only deaths bear out whose culprit is not decided may be none.
            // Where something strikes sooner, the longest that was found so far is not the one to obey.
            let is_shortest = kind != Kind::Idle
                || recurs_at.is_none_or(|age| age >= limit.lower - ONE_AGE.either(limit.lower));
            let confirmed = limit.confirmed
                && is_shortest
                && is_borne_out(history, kind, &limit, &is_open)
                && is_told_by_all_lives(history, kind, &limit);
            let before = self.limits.iter().find(|(known, _)| *known == kind).map(|(_, limit)| *limit);
            (kind, told(history, kind, IdleLimit { confirmed, ..limit }, before, &is_open))
        });
        let [(_, idle), ..] = limits;
        // Twins are compared with the narrowest bracket: past a wide one they may have met another layer.
        let [(_, narrowest), ..] = found;
        let is_within = narrowest.upper.is_some_and(|upper| Some(upper) <= idle.upper && upper >= idle.lower);
        let Toll { killer, deaths } = toll(history, &idle, &is_open);
        let remedies = Remedies::read(history, if is_within { &narrowest } else { &idle });
        let of_the_same = killer
            .is_some_and(|now| self.killer.is_some_and(|told| told.culprit == now.culprit))
            && idle.upper.zip(self.limit(Kind::Idle).upper).is_some_and(|(now, told)| is_one_age(now, told));
        Self {
            longest_stall,
            takes_the_row: None,
            recurs_at,
            remedies: if of_the_same { remedies.or(self.remedies) } else { remedies },
            killer,
            old_are_killed: limits
                .iter()
                .any(|(kind, limit)| *kind == Kind::Active && are_old_killed(history, limit)),
            deaths,
            servers: where_servers_differ(history, &idle),
            identities: history.newest_servers().into_iter().map(str::to_owned).collect(),
            limits: limits.into_iter().filter(|(_, limit)| limit.evidence_at.is_some()).collect(),
        }
    }

    /// Whether a death at this age by this culprit is what the confirmed idle limit does, as it was told last.
    pub fn expects(&self, age: f64, culprit: Culprit) -> bool {
        let limit = self.limit(Kind::Idle);
        limit.confirmed && age > limit.lower && self.killer.is_some_and(|killer| killer.culprit == culprit)
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

/// A death with all that is known of it. The level of a line is part of it, so the line stands here once for both.
macro_rules! tell_death_at {
    ($level:expr, $settings:expr, $decided:expr, $words:literal) => {{
        let (settings, decided): (&Settings, &Decided) = ($settings, $decided);
        let Decided { kind, death, conclusion, .. } = decided;
        tracing::event!(
            $level,
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
            server = decided.server,
            server_identity = death.identity,
            com_kill_rose = death.killed(),
            stall_seconds = death.stall.map(rounded),
            wait_timeout_seconds = death.wait_timeout,
            server_uptime_seconds = death.uptime,
            $words
        );
    }};
}

/// What is new is a warning. That a confirmed limit takes one more (`expected`) is how it is watched, and is told at the
/// level info.
pub(super) fn tell_death(settings: &Settings, decided: &Decided, expected: bool) {
    if expected {
        tell_death_at!(tracing::Level::INFO, settings, decided, "canary died at the confirmed idle limit");
    } else {
        tell_death_at!(tracing::Level::WARN, settings, decided, "canary died");
    }
}

pub(super) fn tell_void(settings: &Settings, kind: Kind, voided: Voided) {
    let Voided { cause, age, thread_id } = voided;
    // At the end, or as a reload takes its path away, every canary is voided: that is told once, by who stops.
    if !matches!(cause, VoidCause::Stopped | VoidCause::PathGone) {
        tracing::info!(
            event = "void",
            target_name = settings.target,
            path = settings.path,
            kind = kind.label(),
            reason = cause.reason().label(),
            cause = cause.words(),
            age_seconds = age.map(rounded),
            thread_id,
            "canary's end says nothing and is not counted"
        );
    }
}

/// What to do where the dead take all places.
const GHOSTS: &str = ": the server may still hold so many sessions of dead canaries that --canary.max-connections \
    leaves no room; each ends at its own wait_timeout, or let them be killed (--canary.kill-ghosts)";
/// Which server has which limit, once they differ.
pub(super) fn tell_servers(settings: &Settings, servers: &[ServerLimit]) {
    for ServerLimit { server, identity, limit } in servers {
        tracing::warn!(
            event = "server_limit",
            target_name = settings.target,
            path = settings.path,
            server,
            server_identity = identity,
            lower_seconds = rounded(limit.lower),
            upper_seconds = limit.upper.map(rounded),
            confirmed = limit.confirmed,
            "the servers behind this path do not share one idle limit"
        );
    }
}

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
    use crate::domain::life::ending::Ending;
    use crate::domain::life::observation::Fate;

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
    fn a_limit_is_not_confirmed_while_something_strikes_sooner() {
        let (ending, culprit) = (Ending::Fin, Culprit::ProxyIdleTimeout);
        let fate = Fate::Died { ending, exact: true, culprit, recurs: true, killed: Some(false) };
        let mut history = History::default();
        for place in 1..4 {
            let at = 1000.0 * f64::from(place);
            history.push(Observation { at, kind: Kind::Idle, age: 217.0, fate, server: None });
        }
        let is_confirmed = |before: &PathReport, recurs_at| {
            let undecided = Waiting { is_open: |_: &Observation| false, recurs_at };
            before.followed_by(&history, None, undecided).limit(Kind::Idle).confirmed
        };
        let none = PathReport::default();
        assert!(is_confirmed(&none, None) && is_confirmed(&none, Some(217.1)));
        assert!(!is_confirmed(&none, Some(106.0)), "the shorter one is to be obeyed, once it is told");
        assert!(is_confirmed(&PathReport::new(&history, None), Some(106.0)), "one that was told stands");
    }
}
