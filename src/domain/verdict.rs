//! The verdict: what a path's facts come to, in plain sentences and concrete settings.

mod drivers;
mod news;
mod paths;
mod sentences;
mod settings;
mod standing;

use std::fmt;

use serde::Serialize;

use crate::domain::culprit::Culprit;
use crate::domain::layers::Clock;
use crate::domain::layers::catalogue::{self, Question};
use crate::domain::limit::IdleLimit;
use crate::domain::mismatch::{self, Facts, Finding};

pub use news::Told;
pub use settings::{Setting, recommended_recycle};
pub use standing::Standing;

/// What there is to say of one path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The path's configured name.
    pub path: String,
    /// Whether nothing is wrong as far as was measured: no limit, no KILL, no rule that holds.
    pub sound: bool,
    /// What was seen, and who does it, in a line.
    pub short: String,
    /// What was seen, who does it, and what helps; one sentence or two each.
    pub sentences: Vec<String>,
    /// Products whose default fits, worded by the confidence of the catalogue.
    pub suspects: Vec<String>,
    /// The rules that hold, in words.
    pub mismatches: Vec<String>,
    /// Settings that keep clear of the limit.
    pub settings: Vec<Setting>,
    /// The longest idle age known to be survived, in seconds; zero while none is.
    pub reach_seconds: f64,
    /// The age at which to replace pooled connections, in seconds: the number of the settings, the metric and
    /// the alerts ([`recommended_recycle`]).
    pub recycle_seconds: Option<f64>,
    /// The share of the connections that reach the idle limit and die there; zero where nothing died.
    #[serde(skip)]
    pub share: f64,
}

/// Judges one path.
pub fn judge(facts: &Facts) -> Verdict {
    let holding: Vec<Finding> =
        mismatch::evaluate(facts).into_iter().filter(|finding| finding.holds).collect();
    let killed = facts.deaths.iter().any(|deaths| deaths.culprit == Culprit::ServerKill && deaths.count > 0);
    let limited = facts.idle.upper.is_some() || lifetime(facts).is_some();
    let suspects = suspect_question(facts)
        .map(|question| catalogue::suspects(&question))
        .unwrap_or_default()
        .iter()
        .map(catalogue::Suspect::words)
        .collect();
    Verdict {
        path: facts.path.clone(),
        sound: !limited && !killed && holding.is_empty(),
        short: sentences::short(facts),
        sentences: sentences::of(facts),
        suspects,
        mismatches: holding.into_iter().map(|finding| finding.words).collect(),
        settings: drivers::named(facts, settings::of(facts)),
        reach_seconds: facts.idle.lower,
        recycle_seconds: recommended_recycle(facts),
        share: facts.idle.share,
    }
}

/// What to ask the catalogue about this path, once something died. A lifetime limit that explains the
/// idle deaths is asked for as a lifetime.
pub fn suspect_question(facts: &Facts) -> Option<Question> {
    let ask = |limit: &IdleLimit, upper, clock, culprit| Question {
        lower: limit.lower,
        upper,
        exact: limit.exact,
        clock,
        ending: None,
        keepalive_lived: None,
        culprit,
    };
    if is_lifetime(facts) {
        let upper = lifetime(facts)?;
        let culprit = if facts.old_are_killed { Culprit::ServerKill } else { Culprit::LifetimeLimit };
        return Some(ask(&facts.lifetime, upper, Clock::Age, culprit));
    }
    let upper = facts.idle.upper?;
    let culprit = facts.killer.map_or(Culprit::Unknown, |killer| killer.culprit);
    Some(Question {
        ending: facts.killer.map(|killer| killer.ending),
        keepalive_lived: facts.remedies.tcp_keepalive,
        ..ask(&facts.idle, upper, Clock::Idle, culprit)
    })
}

/// The age in seconds at which canaries that ping die. One of them may die of a KILL: two must have.
fn lifetime(facts: &Facts) -> Option<f64> {
    facts.lifetime.upper.filter(|_| facts.lifetime.confirmed)
}

/// Whether the limit to speak of is a lifetime: canaries that ping die, and idle ones no sooner.
fn is_lifetime(facts: &Facts) -> bool {
    match (lifetime(facts), facts.idle.upper) {
        (Some(lifetime), Some(idle)) => idle >= lifetime * 0.9,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sentence in &self.sentences {
            writeln!(f, "{sentence}")?;
        }
        for (title, lines) in [("What fits:", &self.suspects), ("Mismatches:", &self.mismatches)] {
            if !lines.is_empty() {
                writeln!(f, "{title}")?;
            }
            for line in lines {
                writeln!(f, "  - {line}")?;
            }
        }
        if !self.settings.is_empty() {
            writeln!(f, "Settings that keep clear of it:")?;
        }
        for setting in &self.settings {
            writeln!(f, "  {}: {}  # {}", setting.place, setting.line, setting.why)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
