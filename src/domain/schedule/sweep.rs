//! The sweep: no limit is known, so the oldest canaries climb from age to age until one dies.
//!
//! A canary is used up by its probe, and the next one in its place starts at zero. With steps of a
//! ratio r and n canaries the front therefore moves at `1 - r^-n` of real time: long steps let it keep
//! pace, short steps leave a narrow bracket.

use super::{Draft, LOWEST_SHARE, Purpose, Scene, is_longer};

/// From this budget on one canary, the oldest, is aimed at the ladder's end from the start: it hears an
/// audible limit in the very moment it strikes.
const BUDGET_WITH_LISTENER: usize = 4;

/// The longest step that the sweep takes is one plus this over the number of climbing canaries.
const STEP: f64 = 3.2;

/// Timers fire late, never early. A probe this share past a common timeout finds its limit passed.
pub(super) const PAST_COMMON_TIMEOUT: f64 = 1.01;

/// How much later each climbing canary starts than the one before, as a share of what it climbs higher.
/// Canaries of one age all pass the limit at once; when the first is found dead the next must not be.
const LAG: f64 = 0.08;

/// Aims the canaries in flight at the ages above `lower`, the longest age survived, and launches more.
pub(super) fn plan(scene: &Scene<'_>, lower: f64, draft: &mut Draft) {
    climb_to(scene, lower, None, draft);
}

/// The same below `upper`, the shortest age died at, if there is one.
pub(super) fn climb_to(scene: &Scene<'_>, lower: f64, upper: Option<f64>, draft: &mut Draft) {
    let ages = ages_ahead(scene, lower, upper);
    let longest = upper.unwrap_or(scene.ladder.longest());
    if ages.is_empty() {
        return;
    }
    let mut has_listener = scene.budget < BUDGET_WITH_LISTENER;
    // The first to climb need not wait for the listener.
    let mut before = if lower > 0.0 { lower } else { ages[0] };
    let mut ahead = ages.into_iter().peekable();
    let mut youngest = f64::INFINITY;
    for canary in draft.free().filter(|canary| upper.is_none_or(|upper| canary.idle < upper)) {
        if !is_longer(canary.target, lower) {
            // It revisits a lower rung.
            continue;
        }
        youngest = canary.idle;
        if !has_listener {
            has_listener = true;
            canary.target = longest;
            continue;
        }
        while ahead.peek().is_some_and(|&age| age < canary.idle) {
            ahead.next();
        }
        if let Some(age) = ahead.next() {
            canary.target = age;
            before = age;
        }
    }
    if !has_listener && draft.launch(longest, Purpose::Ladder) {
        youngest = 0.0;
    }
    for age in ahead {
        let lag = LAG * (age - before);
        if draft.room() > 0 && youngest < lag {
            draft.wake_at(scene.now + lag - youngest);
            break;
        }
        if !draft.launch(age, Purpose::Ladder) {
            break;
        }
        before = age;
        youngest = 0.0;
    }
}

/// The ages above `lower`, and below `upper` if there is one, that the sweep climbs: the steps halved
/// where canaries are left over.
fn ages_ahead(scene: &Scene<'_>, lower: f64, upper: Option<f64>) -> Vec<f64> {
    let is_inside = |age: f64| is_longer(age, lower) && upper.is_none_or(|upper| is_longer(upper, age));
    let mut ages: Vec<f64> = climb(scene).into_iter().filter(|&age| is_inside(age)).collect();
    // Below the first rung there is nothing to climb but what the death there asks for.
    let is_below = ages.is_empty() && lower <= 0.0;
    let start = upper.filter(|_| is_below).map_or(lower, |upper| upper * LOWEST_SHARE);
    ages.extend(upper);
    // The smallest budget too needs one age short of the death.
    let climbing = scene.budget.saturating_sub(1).clamp(1 + usize::from(upper.is_some()), MOST_STEPS);
    let sharp = 1.0 + 2.0 * scene.precision.clamp(1e-4, 1.0);
    while !ages.is_empty() && ages.len() < climbing {
        let before = |place: usize| if place > 0 { ages[place - 1] } else { start };
        let is_long =
            |place: &usize| upper.is_some() || ages[*place] - before(*place) >= SHORTEST_GAP_SECONDS;
        let divisible = (0..ages.len()).filter(|&place| before(place) > 0.0).filter(is_long);
        let ratios = divisible.map(|place| (ages[place] / before(place), place));
        match ratios.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((ratio, place)) if ratio > sharp => ages.insert(place, (before(place) * ages[place]).sqrt()),
            Some(_) | None => break,
        }
    }
    ages.retain(|&age| upper.is_none_or(|upper| is_longer(upper, age)));
    ages
}

/// Rungs nearer to each other than this, in seconds, are climbed as they are while nothing has died:
/// a step between them saves no time worth a login.
const SHORTEST_GAP_SECONDS: f64 = 5.0;

/// The most steps that the climb is divided into where canaries are left over.
const MOST_STEPS: usize = 64;

/// The ages the sweep climbs, in rising order: the ladder's, and between them such that no step is
/// too long for the budget, just past a common timeout where there is one.
fn climb(scene: &Scene<'_>) -> Vec<f64> {
    let climbing = scene.budget.saturating_sub(1);
    let step = if scene.budget < BUDGET_WITH_LISTENER { f64::INFINITY } else { 1.0 + STEP / climbing as f64 };
    let mut ages: Vec<f64> = Vec::new();
    for &rung in scene.ladder.ages() {
        if let Some(&before) = ages.last() {
            let gaps = if rung - before < SHORTEST_GAP_SECONDS {
                1.0
            } else {
                ((rung / before).ln() / step.ln()).ceil().clamp(1.0, 64.0)
            };
            let even = (rung / before).powf(1.0 / gaps);
            for place in 1..gaps as i32 {
                ages.push(snap(before * even.powi(place), even.sqrt(), scene.common_timeouts));
            }
        }
        ages.push(rung);
    }
    ages.dedup_by(|a, b| *a <= *b);
    ages
}

/// The age just past the common timeout nearest to `age`, if one lies within a factor of `reach`.
fn snap(age: f64, reach: f64, common_timeouts: &[f64]) -> f64 {
    common_timeouts
        .iter()
        .map(|timeout| timeout * PAST_COMMON_TIMEOUT)
        .filter(|past| *past > age / reach && *past < age * reach)
        .min_by(|a, b| (a / age).ln().abs().total_cmp(&(b / age).ln().abs()))
        .unwrap_or(age)
}
