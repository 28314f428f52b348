//! When the answer is sure, and what it comes to: read off the status document alone.

use serde::Serialize;

use super::plan::ENOUGH_CANARIES;
use crate::domain::culprit::Culprit;
use crate::domain::life::kind::Kind;
use crate::domain::life::stage::Stage;
use crate::domain::mismatch::Rule;
use crate::status::{Limit, PathDocument, TargetDocument};

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every age up to the one asked for is survived, and nothing contradicts.
    Sound,
    /// A limit, or settings that contradict each other.
    Found,
    /// It could not be measured.
    NotMeasured,
    /// Somebody ended it.
    Interrupted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Sound, Self::Found, Self::NotMeasured, Self::Interrupted];

    /// The process's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Found => 1,
            Self::NotMeasured => 2,
            Self::Interrupted => 130,
        }
    }
}

/// A bracket as narrow as this ratio need not be narrowed while somebody waits.
const NARROW: f64 = 1.12;
/// After so many lengths of the limit a wider bracket is told too ...
const PATIENCE_LENGTHS: f64 = 1.9;
/// ... and after so many, and these seconds, whatever is known.
const LONGEST_LENGTHS: f64 = 4.0;
const LONGEST_SECONDS: f64 = 1.5;
/// How much longer one canary alone may take.
const ALONE: f64 = 4.0;

/// What is known of one kind's limit.
pub(super) fn limit(path: &PathDocument, kind: Kind) -> Option<&Limit> {
    path.limits.iter().find(|limit| limit.kind == kind.label())
}

/// The age that canaries die at, in seconds: idle, or of age.
pub(super) fn upper(path: &PathDocument) -> Option<f64> {
    let of = |kind| limit(path, kind).and_then(|limit| limit.upper_seconds);
    [of(Kind::Idle), of(Kind::Active)].into_iter().flatten().reduce(f64::min)
}

/// How far one path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing more is to be learnt.
    Sure,
    /// The time is over in which more is to be learnt; what is known is told as it is.
    Late,
    /// The search goes on.
    Open,
}

/// How far a path is, after so many seconds of search with so many canaries.
pub(super) fn progress(path: &PathDocument, elapsed: f64, canaries: usize) -> Progress {
    if path.verdict.is_none() {
        return Progress::Open;
    }
    let Some(upper) = upper(path) else {
        return if path.ladder_survived { Progress::Sure } else { Progress::Open };
    };
    let is_confirmed = |kind| limit(path, kind).is_some_and(|limit| limit.confirmed == Some(true));
    let is_narrow = |kind| {
        limit(path, kind).is_some_and(|limit| {
            limit.exact == Some(true)
                || limit.lower_seconds.zip(limit.upper_seconds).is_some_and(|(l, u)| u <= l * NARROW)
        })
    };
    let helps = (path.remedies.tcp_keepalive, path.remedies.app_ping);
    let by_age = is_confirmed(Kind::Active)
        && limit(path, Kind::Idle)
            .is_none_or(|idle| idle.upper_seconds.is_none() || idle.confirmed == Some(true));
    // What ends sessions by their age is sure when those that ping show it.
    let is_named =
        |culprit: &str| ![Culprit::Unknown, Culprit::LifetimeLimit].map(Culprit::label).contains(&culprit);
    let named = path.killer.as_ref().is_some_and(|killer| is_named(killer.culprit));
    let by_idleness = is_confirmed(Kind::Idle) && named && helps.0.is_some() && helps.1.is_some();
    let patient = elapsed >= alone(canaries) * PATIENCE_LENGTHS * upper;
    if by_age || by_idleness && (is_narrow(Kind::Idle) || patient) {
        Progress::Sure
    } else if elapsed >= latest(upper, canaries) {
        Progress::Late
    } else {
        Progress::Open
    }
}

/// After how many seconds of search, with so many canaries, a limit at this age (seconds) is told as it is known.
pub(super) fn latest(upper: f64, canaries: usize) -> f64 {
    alone(canaries) * (LONGEST_LENGTHS * upper + LONGEST_SECONDS)
}

/// How many times as long so few canaries may take.
const fn alone(canaries: usize) -> f64 {
    if canaries < ENOUGH_CANARIES { ALONE } else { 1.0 }
}

/// After how many seconds so many canaries have climbed a ladder where nothing dies: a few climb rung after rung.
pub(super) fn latest_sound(rungs: &[f64], canaries: usize) -> f64 {
    const STARTING_SECONDS: f64 = 2.0;
    let longest = rungs.last().copied().unwrap_or_default();
    let all: f64 = rungs.iter().sum();
    STARTING_SECONDS + longest.max(all / canaries.max(1) as f64)
}

/// Whether a failed connect is an answer by itself: trying again changes nothing within the time that people wait.
pub(super) fn is_final(stage: &str) -> bool {
    [Stage::Dns, Stage::Tls, Stage::Auth, Stage::Nonsense, Stage::Local]
        .into_iter()
        .any(|of| of.label() == stage)
}

/// Whether a path's settings contradict each other, as measured or as they are read and declared.
pub(super) fn contradicts(path: &PathDocument) -> bool {
    path.mismatches.iter().any(|of| of.holds) || is_foretold(path)
}

/// The same without what lies on another path alone: that is told there.
pub(super) fn contradicts_itself(path: &PathDocument) -> bool {
    let other = Rule::PathsDisagree.label();
    path.mismatches.iter().any(|of| of.holds && of.rule != other) || is_foretold(path)
}

fn is_foretold(path: &PathDocument) -> bool {
    path.foretold.as_ref().is_some_and(|told| !told.mismatches.is_empty())
}

/// What a target comes to. `at_once` is what was asked for without waiting.
pub(super) fn outcome(target: &TargetDocument, at_once: bool) -> Outcome {
    let is_ill = |path: &PathDocument| {
        contradicts(path) || upper(path).is_some() || path.verdict.as_ref().is_some_and(|of| !of.sound)
    };
    let is_known = |path: &PathDocument| {
        if at_once { path.trouble.is_none() && path.verdict.is_some() } else { path.ladder_survived }
    };
    if target.paths.iter().any(is_ill) {
        Outcome::Found
    } else if !target.paths.is_empty() && target.paths.iter().all(is_known) {
        Outcome::Sound
    } else {
        Outcome::NotMeasured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::culprit::remedy::Remedies;
    use crate::domain::life::ending::Ending;
    use crate::domain::limit::IdleLimit;
    use crate::domain::mismatch::{Facts, Killer};
    use crate::domain::verdict::judge;
    use crate::fleet::diagnosis::Diagnosis;
    use crate::status::path_for_tests;

    /// A path of which so much is known.
    fn path(idle: IdleLimit, lifetime: IdleLimit, remedies: Remedies) -> PathDocument {
        path_of(Culprit::ProxyIdleTimeout, idle, lifetime, remedies)
    }

    fn path_of(culprit: Culprit, idle: IdleLimit, lifetime: IdleLimit, remedies: Remedies) -> PathDocument {
        let killer = idle.upper.map(|_| Killer { culprit, ending: Ending::Fin });
        let facts = Facts { path: "p".to_owned(), idle, lifetime, killer, remedies, ..Facts::default() };
        let diagnosis = Diagnosis { remedies, verdict: Some(judge(&facts)), ..Diagnosis::default() };
        path_for_tests(vec![(Kind::Idle, idle), (Kind::Active, lifetime)], killer, diagnosis, 30.0)
    }

    fn limit(lower: f64, upper: f64, exact: bool, confirmed: bool) -> IdleLimit {
        IdleLimit {
            lower,
            survived: lower,
            upper: Some(upper),
            exact,
            confirmed,
            share: 1.0,
            ..IdleLimit::default()
        }
    }

    fn lived(lower: f64) -> IdleLimit {
        IdleLimit { lower, survived: lower, ..IdleLimit::default() }
    }

    const BOTH: Remedies = Remedies { tcp_keepalive: Some(false), app_ping: Some(true) };

    #[tokio::test]
    async fn the_answer_is_sure_when_limit_culprit_and_remedies_are_and_late_after_a_while() {
        let none = Remedies::default();
        for (idle, lifetime, remedies, elapsed, expected) in [
            (lived(12.0), lived(0.0), none, 12.0, Progress::Open),
            (lived(30.0), lived(0.0), none, 30.0, Progress::Sure),
            (limit(3.5, 4.0, true, true), lived(5.0), BOTH, 6.0, Progress::Sure),
            (limit(3.5, 4.0, true, true), lived(5.0), none, 6.0, Progress::Open),
            (limit(3.5, 4.0, true, false), lived(5.0), BOTH, 6.0, Progress::Open),
            (limit(3.5, 4.0, true, false), lived(5.0), BOTH, 17.4, Progress::Open),
            (limit(3.5, 4.0, true, false), lived(5.0), BOTH, 17.6, Progress::Late),
            (limit(6.5, 9.0, false, true), lived(5.0), BOTH, 12.0, Progress::Open),
            (limit(6.5, 9.0, false, true), lived(5.0), BOTH, 17.2, Progress::Sure),
            (limit(8.0, 8.2, false, true), lived(5.0), BOTH, 12.0, Progress::Sure),
            (lived(5.0), limit(5.5, 6.0, true, true), none, 8.0, Progress::Sure),
        ] {
            let path = path(idle, lifetime, remedies);
            assert_eq!(progress(&path, elapsed, 22), expected, "{idle:?} {lifetime:?} after {elapsed} s");
        }
    }

    #[tokio::test]
    async fn a_limit_of_age_is_sure_when_those_that_ping_show_it() {
        let of = |lifetime| {
            let helps = Remedies { tcp_keepalive: Some(false), app_ping: Some(false) };
            path_of(Culprit::LifetimeLimit, limit(5.5, 6.0, true, true), lifetime, helps)
        };
        assert_eq!(progress(&of(limit(0.0, 6.0, true, false)), 9.0, 22), Progress::Open);
        assert_eq!(progress(&of(limit(0.0, 6.0, true, true)), 9.0, 22), Progress::Sure);
    }

    #[tokio::test]
    async fn who_climbs_alone_takes_longer() {
        let path = path(limit(3.5, 4.0, true, false), lived(0.0), Remedies::default());
        assert_eq!(progress(&path, 20.0, 1), Progress::Open);
        assert_eq!(progress(&path, 20.0, 22), Progress::Late);
        assert_eq!(latest_sound(&[1.0, 2.0, 4.0], 1), 9.0);
        assert_eq!(latest_sound(&[1.0, 2.0, 4.0], 22), 6.0);
    }
}
