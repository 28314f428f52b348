//! The watch: what is known is looked at again and again, at a rate the server does not feel.

use super::limit::{IdleLimit, SCATTER_SHARE};
use super::{Draft, Purpose, Scene, is_same_age};
use crate::domain::observation::Observation;

/// Logins an hour for visits to the ladder's rungs.
const LOGINS_PER_HOUR: f64 = 150.0;

/// A ladder so short that this many lives of its longest rung fit in an hour may log in more often in
/// proportion: nobody climbs it to run for days.
const SHORT_LADDER_LIVES: f64 = 20.0;

/// How long a watched bound rests between two looks, as a share of the limit: with the life itself,
/// less than two of its lengths.
const REST_SHARE: f64 = 0.25;

/// Slots that visits to known rungs leave free, for whatever needs one at once.
const SPARE_SLOTS: usize = 2;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// Looks again at both bounds of a limit that is sharp and confirmed.
pub(super) fn keep_in_sight(scene: &Scene<'_>, limit: &IdleLimit, upper: f64, draft: &mut Draft) {
    for canary in draft.free().filter(|canary| canary.idle >= upper && !limit.exact) {
        canary.recalled = true;
    }
    let above = if limit.exact {
        let past = upper * (1.0 + SCATTER_SHARE);
        scene.ladder.ages().iter().copied().find(|&rung| rung > past).unwrap_or(upper)
    } else {
        upper
    };
    let rate = logins_per_second(scene) / 2.0;
    let cycle = (upper * (1.0 + REST_SHARE)).max(1.0 / rate);
    for (age, strikes_at) in [(limit.lower, limit.lower), (above, upper)] {
        if draft.is_aimed_at(age) {
            continue;
        }
        let near = |seen: &&Observation| (seen.age / strikes_at - 1.0).abs() <= SCATTER_SHARE;
        look_again(scene, draft, age, cycle, near, Purpose::Watch);
    }
}

/// Visits the rungs below `lower` again, or all of them, the most overdue first.
pub(super) fn revisit_ladder(scene: &Scene<'_>, lower: Option<f64>, draft: &mut Draft) {
    let below = lower.map_or(f64::INFINITY, |lower| lower * (1.0 - SCATTER_SHARE));
    let rungs: Vec<f64> = scene.ladder.ages().iter().copied().filter(|&rung| rung < below).collect();
    let slots = scene.budget.saturating_sub(SPARE_SLOTS).max(1);
    let share = (rungs.len() as f64 / slots as f64).max(1.0);
    let shortest = shortest_cycle(&rungs, share, logins_per_second(scene));
    let mut due: Vec<(f64, f64)> = Vec::new();
    for rung in rungs {
        if draft.is_aimed_at(rung) {
            continue;
        }
        let cycle = (rung * share).max(shortest);
        let last = last_start(scene, |seen| is_same_age(seen.age, rung));
        let next = last.map_or(f64::NEG_INFINITY, |start| start + cycle);
        if next <= scene.now {
            due.push(((scene.now - next) / cycle, rung));
        } else {
            draft.wake_at(next);
        }
    }
    due.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    for (_, rung) in due {
        if draft.in_flight() < slots {
            draft.launch(rung, Purpose::Ladder);
        }
    }
}

fn look_again(
    scene: &Scene<'_>,
    draft: &mut Draft,
    age: f64,
    cycle: f64,
    near: impl Fn(&&Observation) -> bool,
    purpose: Purpose,
) {
    let next = last_start(scene, near).map_or(f64::NEG_INFINITY, |start| start + cycle);
    if next <= scene.now {
        draft.launch(age, purpose);
    } else {
        draft.wake_at(next);
    }
}

/// When the last finished life that fits began, in seconds since the Unix epoch.
fn last_start(scene: &Scene<'_>, fits: impl Fn(&&Observation) -> bool) -> Option<f64> {
    scene.history.iter().rev().find(fits).map(|seen| seen.at - seen.age)
}

fn logins_per_second(scene: &Scene<'_>) -> f64 {
    let lives = SECONDS_PER_HOUR / (SHORT_LADDER_LIVES * scene.ladder.longest());
    LOGINS_PER_HOUR / SECONDS_PER_HOUR * lives.max(1.0)
}

/// The shortest cycle, in seconds, that keeps all rungs together under a rate of logins.
fn shortest_cycle(rungs: &[f64], share: f64, rate: f64) -> f64 {
    let logins = |floor: f64| rungs.iter().map(|rung| 1.0 / (rung * share).max(floor)).sum::<f64>();
    if logins(0.0) <= rate {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, rungs.len() as f64 / rate);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if logins(middle) > rate {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
