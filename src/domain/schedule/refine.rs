//! Refinement: a death stands, so the limit lies in a bracket, and the canaries in flight are aimed
//! into it.
//!
//! Each step weighs, for every canary and every age worth a probe, how long the probe takes to come and
//! how long the canaries that remain will need after either outcome.

use super::aims::{listening_age, past};
use super::limit::IdleLimit;
use super::sweep::{self, PAST_COMMON_TIMEOUT};
use super::tolerance::HEARD;
use super::{Canary, Draft, LOWEST_SHARE, Purpose, SETTLED, Scene, is_same_age};

/// A probe this share below a common timeout finds its limit not yet reached.
const BEFORE_COMMON_TIMEOUT: f64 = 0.995;

/// How much of the belief lies on the common timeouts in a bracket; the rest is spread evenly.
const BELIEF_IN_COMMON_TIMEOUTS: f64 = 0.5;

/// A bracket whose bounds are further apart than this ratio is climbed, as the ladder is.
const WIDE: f64 = 2.2;

/// Deaths that make it sure that there is a limit at all; canaries older than it are dead then.
const SURE_DEATHS: usize = 2;

/// Aims the canaries in flight into the bracket, and launches as many as the work ahead needs.
pub(super) fn plan(scene: &Scene<'_>, limit: &IdleLimit, upper: f64, draft: &mut Draft) {
    settle_older(scene, limit, upper, draft);
    let bracket = Bracket::new(scene, limit, upper);
    let needed = if limit.is_sharp(scene.precision) {
        confirm(scene, limit, upper, draft)
    } else if limit.upper_in_doubt {
        aim_again(past(scene, upper), draft);
        return;
    } else if limit.lower_in_doubt {
        aim_again(limit.below(), draft);
        return;
    } else if upper / bracket.lower > WIDE {
        sweep::climb_to(scene, limit.lower, Some(upper), draft);
        return;
    } else {
        divide(&bracket, draft);
        bracket.steps() + SURE_DEATHS
    };
    let coming = draft.free().filter(|canary| canary.idle < upper).count() + draft.launches.len();
    for _ in coming..needed {
        draft.launch(upper, Purpose::Refine);
    }
}

/// Canaries older than the shortest death: the youngest of them tells at once whether that death was a
/// stray, and the others are recalled once it is sure that it was none.
fn settle_older(scene: &Scene<'_>, limit: &IdleLimit, upper: f64, draft: &mut Draft) {
    let past = past(scene, upper);
    let looks_again = |canary: &Canary| canary.idle <= past && is_same_age(canary.target, past);
    let bears_out = upper * (1.0 + HEARD.share);
    let mut wanted = usize::from(limit.deaths < if limit.exact { SURE_DEATHS } else { SETTLED });
    let due = draft.canaries.iter().filter(|c| !c.recalled && c.is_due() && c.idle >= upper).count();
    wanted = wanted.saturating_sub(due);
    let mut older: Vec<_> =
        draft.free().filter(|canary| canary.idle >= upper && !looks_again(canary)).collect();
    for canary in older.iter_mut().rev() {
        let is_sure = limit.certain.is_some_and(|age| canary.idle >= age);
        if scene.hurried && !limit.exact || wanted > 0 && (!is_sure || canary.idle <= bears_out) {
            canary.target = canary.idle;
            wanted = wanted.saturating_sub(1);
        } else if is_sure {
            canary.recalled = true;
        }
    }
}

/// Aims the canary that comes to an age first at it: what contradicts the past is looked at again
/// before anything is built on it.
pub(super) fn aim_again(age: f64, draft: &mut Draft) {
    let age = age.min(draft.reach);
    if draft.is_aimed_at(age) {
        return;
    }
    if age > draft.longest {
        // That what lay at the ladder's end is gone is seen past it.
        draft.launch(age, Purpose::Watch);
    } else if let Some(canary) = draft.free().find(|canary| canary.idle <= age) {
        canary.target = age;
    } else {
        draft.launch(age, Purpose::Confirm);
    }
}

/// Aims one canary at each bound that is not borne out yet; gives how many canaries that takes.
///
/// An audible death tells both bounds, so a second one confirms both.
fn confirm(scene: &Scene<'_>, limit: &IdleLimit, upper: f64, draft: &mut Draft) -> usize {
    let wanted = if limit.exact { SURE_DEATHS } else { SETTLED };
    // Two deaths heard so far apart that they bear out no common lower bound ask for a third.
    let deaths = wanted.saturating_sub(limit.deaths).max(usize::from(limit.exact && !limit.confirmed));
    let survivals = if limit.exact { 0 } else { wanted.saturating_sub(limit.survivals) };
    let past = if limit.exact { listening_age(scene, limit.longest()) } else { past(scene, upper) };
    let short_of = limit.below();
    let mut below = survivals;
    for canary in draft.free().filter(|canary| canary.idle <= short_of) {
        if below > 0 {
            canary.target = short_of;
            below -= 1;
        }
    }
    for _ in 0..below {
        draft.launch(short_of, Purpose::Confirm);
    }
    let mut above = deaths;
    let is_spare = |canary: &&mut Canary| canary.target != short_of && canary.idle <= past;
    for canary in draft.free().filter(is_spare) {
        if above > 0 {
            canary.target = past;
            above -= 1;
        }
    }
    for _ in 0..above {
        draft.launch(past, Purpose::Confirm);
    }
    deaths + survivals
}

/// Picks the one probe that serves the bracket best.
fn divide(bracket: &Bracket, draft: &mut Draft) {
    let idle: Vec<f64> =
        draft.free().map(|canary| canary.idle).filter(|&idle| idle < bracket.upper).collect();
    let mut best: Option<(f64, f64, f64)> = None;
    for (place, &own) in idle.iter().enumerate() {
        let mut others = idle.clone();
        others.remove(place);
        for age in bracket.splits().chain([own]).filter(|&age| age >= own && bracket.divides(age)) {
            let cost = bracket.cost(age, age - own, &others);
            if best.is_none_or(|(least, _, _)| cost < least) {
                best = Some((cost, own, age));
            }
        }
    }
    if let Some((_, own, age)) = best
        && let Some(canary) = draft.free().find(|canary| canary.idle == own)
    {
        canary.target = age;
    }
}

/// The ages between which the limit lies, in seconds, and what is worth a probe there.
#[derive(Debug, Clone)]
struct Bracket {
    lower: f64,
    upper: f64,
    /// The logarithm of the ratio that is sharp enough.
    sharp: f64,
    common_timeouts: Vec<f64>,
}

impl Bracket {
    fn new(scene: &Scene<'_>, limit: &IdleLimit, upper: f64) -> Self {
        let lower = limit.lower.max(upper * LOWEST_SHARE);
        let inside = |timeout: &f64| timeout * PAST_COMMON_TIMEOUT > lower && *timeout < upper;
        let common_timeouts = scene.common_timeouts.iter().copied().filter(inside).collect();
        Self { lower, upper, sharp: (2.0 * scene.precision).clamp(1e-4, 0.5).ln_1p(), common_timeouts }
    }

    /// Whether a probe at this age would leave two smaller brackets.
    fn divides(&self, age: f64) -> bool {
        age > self.lower * 1.0005 && age < self.upper / 1.0005
    }

    /// The ages worth a probe.
    fn splits(&self) -> impl Iterator<Item = f64> {
        const PARTS: i32 = 12;
        let ratio = (self.upper / self.lower).powf(1.0 / f64::from(PARTS));
        let even = (1..PARTS).map(move |part| self.lower * ratio.powi(part));
        let beside =
            self.common_timeouts.iter().flat_map(|l| [l * BEFORE_COMMON_TIMEOUT, l * PAST_COMMON_TIMEOUT]);
        even.chain(beside).chain([self.lower * self.sharp.exp(), self.upper / self.sharp.exp()])
    }

    /// The belief that the limit lies in the bracket below an age.
    fn belief_below(&self, age: f64) -> f64 {
        let even = (age / self.lower).ln() / (self.upper / self.lower).ln();
        if self.common_timeouts.is_empty() {
            return even;
        }
        let below = self.common_timeouts.iter().filter(|&timeout| *timeout < age).count() as f64;
        let share = below / self.common_timeouts.len() as f64;
        even * (1.0 - BELIEF_IN_COMMON_TIMEOUTS) + share * BELIEF_IN_COMMON_TIMEOUTS
    }

    /// How many halvings are left.
    fn steps(&self) -> usize {
        ((self.upper / self.lower).ln() / self.sharp).log2().ceil().clamp(0.0, 32.0) as usize
    }

    /// How long the work takes from now, in seconds, if the next probe is at `age` after `wait` seconds.
    fn cost(&self, age: f64, wait: f64, others: &[f64]) -> f64 {
        let below = self.belief_below(age).clamp(0.0, 1.0);
        let died = Self { upper: age, ..self.without_common_timeouts() };
        let lived = Self { lower: age, ..self.without_common_timeouts() };
        wait + below * died.rest(wait, others) + (1.0 - below) * lived.rest(wait, others)
    }

    fn without_common_timeouts(&self) -> Self {
        Self { common_timeouts: Vec::new(), ..*self }
    }

    /// About how long the canaries in flight need for the rest, in seconds: until the last one needed
    /// comes to the middle of the bracket, or a whole life of a new one.
    fn rest(&self, wait: f64, others: &[f64]) -> f64 {
        let steps = self.steps();
        let middle = (self.lower * self.upper).sqrt();
        let coming = others.iter().map(|idle| idle + wait).filter(|&idle| idle < self.upper);
        match steps.checked_sub(1) {
            None => 0.0,
            Some(last) => coming.into_iter().nth(last).map_or(middle, |idle| (middle - idle).max(0.0)),
        }
    }
}
