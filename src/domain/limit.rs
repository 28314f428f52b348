//! The idle limit: between the longest age survived and the shortest age died at.
//!
//! A silent death at an age says that the limit is not above it and nothing else; a survival says that
//! it was not below. An audible death says both, but for the little that timers stray.

use super::kind::Kind;
use super::observation::{Fate, History};

/// How far two ages may lie apart and still bear the same bound out, as a share of the age.
pub const AGREEMENT_SHARE: f64 = 0.02;

/// How far audible deaths by one timer scatter at least, in seconds: pool-of-threads and its like look
/// at their clocks a few times a second.
const TIMER_SCATTER_SECONDS: f64 = 0.5;

/// How many agreeing observations make a bound worth an alert.
const ENOUGH: usize = 2;

/// What a path's observations say of the age at which canaries of one kind die. All in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct IdleLimit {
    /// The longest age survived that no later death contradicts. Zero while nothing was survived. An
    /// audible death counts as survived up to a little before its age.
    pub lower: f64,
    /// The shortest age died at, or found dead at, that no later survival contradicts. Absent while
    /// nothing died.
    pub upper: Option<f64>,
    /// Whether `upper` is the age of the death itself, so that the limit is known exactly.
    pub exact: bool,
    /// When the newest evidence that bears either bound out was seen, in seconds since the Unix epoch.
    /// Absent while there is none.
    pub evidence_at: Option<f64>,
    /// Deaths that bear the upper bound out: at its age or within [`AGREEMENT_SHARE`] above.
    pub deaths: usize,
    /// Survivals that bear the lower bound out: at its age or within [`AGREEMENT_SHARE`] below.
    pub survivals: usize,
    /// Whether two deaths and two survivals bear the bracket out, so that an alert may trust it. One
    /// death may be a KILL or a blip.
    pub confirmed: bool,
    /// Deaths at any age that nothing newer contradicts: with two, that there is a limit at all is sure.
    pub standing_deaths: usize,
}

impl IdleLimit {
    /// Whether the middle of the bracket is within `precision` (a share, 0.01 for one per cent) of
    /// every limit the bracket allows.
    pub fn is_sharp(&self, precision: f64) -> bool {
        self.upper.is_some_and(|upper| self.exact || upper - self.lower <= 2.0 * precision * self.lower)
    }
}

/// Reads the limit of one kind from a path's history.
///
/// Newer evidence wins: a survival outweighs every older death at or below its age, a death every older
/// survival at or above its age. What is outweighed outweighs nothing itself, so a stray death or a
/// stray survival is forgotten as soon as one observation contradicts it. Two observations in a row
/// that are outweighed together are no strays: the limit moved, and everything older of their sort is
/// dropped with them.
pub fn idle_limit(history: &History, kind: Kind) -> IdleLimit {
    let mut survivals = Side::default();
    let mut deaths = Side::default();
    for seen in
        history.iter().rev().filter(|seen| seen.kind == kind && seen.age.is_finite() && seen.age > 0.0)
    {
        let (age, at) = (seen.age, seen.at);
        match seen.fate {
            Fate::Lived => {
                add_survival(&mut survivals, &mut deaths, Standing { age, at, exact: false });
            }
            Fate::Died { exact, .. } if seen.is_bounding_death() => {
                let outweighed = survivals.standing.iter().any(|s| s.age >= age);
                if outweighed {
                    deaths.drop_outweighed(age, oldest(&survivals.standing, |s| s.age >= age));
                } else if !deaths.dropped {
                    survivals.streak_ends(|lost| lost >= age);
                    deaths.standing.push(Standing { age, at, exact });
                    if exact {
                        let age = age - scatter(age);
                        add_survival(&mut survivals, &mut deaths, Standing { age, at, exact });
                    }
                }
            }
            Fate::Died { .. } => {}
        }
    }
    summarize(&survivals.standing, &deaths.standing)
}

/// How far before an audible death the session counts as alive, in seconds.
fn scatter(age: f64) -> f64 {
    (age * AGREEMENT_SHARE).max(TIMER_SCATTER_SECONDS).min(age / 2.0)
}

/// One observation that nothing newer contradicts.
#[derive(Debug, Clone, Copy)]
struct Standing {
    age: f64,
    at: f64,
    exact: bool,
}

/// The survivals or the deaths of a history, read from the newest back.
#[derive(Debug, Default)]
struct Side {
    standing: Vec<Standing>,
    /// The ages of the outweighed ones since the last that was not, newest first; two make a move.
    streak: Option<f64>,
    /// Whether everything older is dropped.
    dropped: bool,
}

impl Side {
    /// Drops one outweighed observation; `outweighed_at` is when the first that contradicts it was seen.
    fn drop_outweighed(&mut self, age: f64, outweighed_at: f64) {
        if self.streak.is_some() {
            self.standing.retain(|s| s.at > outweighed_at);
            self.dropped = true;
        }
        self.streak = Some(age);
    }

    /// Ends a streak that an observation in its midst already contradicts.
    fn streak_ends(&mut self, contradicts: impl Fn(f64) -> bool) {
        if self.streak.is_some_and(contradicts) {
            self.streak = None;
        }
    }
}

fn add_survival(survivals: &mut Side, deaths: &mut Side, survival: Standing) {
    let age = survival.age;
    // An audible death does not contradict the survival that it implies itself.
    if deaths.standing.iter().any(|d| d.age <= age) {
        survivals.drop_outweighed(age, oldest(&deaths.standing, |d| d.age <= age));
    } else if !survivals.dropped {
        deaths.streak_ends(|lost| lost <= age);
        survivals.standing.push(survival);
    }
}

/// When the oldest of those that fit was seen.
fn oldest(standing: &[Standing], fits: impl Fn(&Standing) -> bool) -> f64 {
    standing.iter().filter(|s| fits(s)).map(|s| s.at).fold(f64::INFINITY, f64::min)
}

fn summarize(survivals: &[Standing], deaths: &[Standing]) -> IdleLimit {
    let lower = survivals.iter().map(|s| s.age).fold(0.0, f64::max);
    let shortest = deaths.iter().min_by(|a, b| a.age.total_cmp(&b.age));
    let upper = shortest.map(|death| death.age);
    let near_lower = || survivals.iter().filter(|s| s.age >= lower * (1.0 - AGREEMENT_SHARE));
    let near_upper = || deaths.iter().filter(|d| upper.is_some_and(|u| d.age <= u * (1.0 + AGREEMENT_SHARE)));
    let newest = near_lower().chain(near_upper()).map(|s| s.at).fold(f64::NEG_INFINITY, f64::max);
    let (deaths_near, survivals_near) = (near_upper().count(), near_lower().count());
    IdleLimit {
        lower,
        upper,
        exact: shortest.is_some_and(|death| death.exact),
        evidence_at: newest.is_finite().then_some(newest),
        deaths: deaths_near,
        survivals: survivals_near,
        confirmed: deaths_near >= ENOUGH && survivals_near >= ENOUGH,
        standing_deaths: deaths.len(),
    }
}

#[cfg(test)]
mod tests;
