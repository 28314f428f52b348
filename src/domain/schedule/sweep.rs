//! The sweep: no limit is known, so the oldest canaries climb from age to age until one dies.
//!
//! A canary is used up by its probe, and the next one in its place starts at zero. With steps of a
//! ratio r and n canaries the front therefore moves at `1 - r^-n` of real time: long steps let it keep
//! pace, short steps leave a narrow bracket.

use super::{Draft, Purpose, Scene, is_longer};

/// From this budget on one canary, the oldest, is aimed at the ladder's end from the start: it hears an
/// audible limit in the very moment it strikes.
const BUDGET_WITH_LISTENER: usize = 4;

/// The longest step that the sweep takes is one plus this over the number of climbing canaries.
const STEP: f64 = 3.2;

/// Timers fire late, never early. A probe this share past a landmark finds its limit passed.
pub(super) const PAST_LANDMARK: f64 = 1.01;

/// Aims the canaries in flight at the ages above `lower`, the longest age survived, and launches more.
pub(super) fn plan(scene: &Scene<'_>, lower: f64, draft: &mut Draft) {
    let ages = climb(scene);
    let mut ahead = ages.iter().copied().filter(|&age| is_longer(age, lower)).peekable();
    if ahead.peek().is_none() {
        return;
    }
    let mut has_listener = scene.budget < BUDGET_WITH_LISTENER;
    let longest = scene.ladder.longest();
    for canary in draft.free() {
        if !is_longer(canary.aimed, lower) {
            // It revisits a lower rung.
            continue;
        }
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
        }
    }
    if !has_listener {
        draft.launch(longest, Purpose::Ladder);
    }
    for age in ahead {
        if !draft.launch(age, Purpose::Ladder) {
            break;
        }
    }
}

/// The ages the sweep climbs, in rising order: the ladder's, and between them such that no step is
/// too long for the budget, just past a landmark where there is one.
fn climb(scene: &Scene<'_>) -> Vec<f64> {
    let climbing = scene.budget.saturating_sub(1);
    let step = if scene.budget < BUDGET_WITH_LISTENER { f64::INFINITY } else { 1.0 + STEP / climbing as f64 };
    let mut ages: Vec<f64> = Vec::new();
    for &rung in scene.ladder.ages() {
        if let Some(&before) = ages.last() {
            let gaps = ((rung / before).ln() / step.ln()).ceil().clamp(1.0, 64.0);
            let even = (rung / before).powf(1.0 / gaps);
            for place in 1..gaps as i32 {
                ages.push(snap(before * even.powi(place), even.sqrt(), scene.landmarks));
            }
        }
        ages.push(rung);
    }
    ages.dedup_by(|a, b| *a <= *b);
    ages
}

/// The age just past the landmark nearest to `age`, if one lies within a factor of `reach`.
fn snap(age: f64, reach: f64, landmarks: &[f64]) -> f64 {
    landmarks
        .iter()
        .map(|landmark| landmark * PAST_LANDMARK)
        .filter(|past| *past > age / reach && *past < age * reach)
        .min_by(|a, b| (a / age).ln().abs().total_cmp(&(b / age).ln().abs()))
        .unwrap_or(age)
}
