//! Ages to aim at, for those who search and those who watch.

use super::Scene;
use super::limit;
use super::tolerance::HEARD;

/// Where to look at an upper bound again that a probe found, in seconds: at the ladder's end at most.
pub(super) fn past(scene: &Scene<'_>, upper: f64) -> f64 {
    limit::above(upper).min(scene.ladder.longest())
}

/// Where to aim a canary that is to hear an audible limit (seconds) strike: well past it, for a probe
/// in the very moment of the death would hide it.
pub(super) fn listening_age(scene: &Scene<'_>, limit: f64) -> f64 {
    /// Timers stray by less than this, in seconds.
    const CLEAR_SECONDS: f64 = 1.0;
    let past = limit * (1.0 + HEARD.share) + CLEAR_SECONDS;
    let longest = scene.ladder.longest();
    scene.ladder.ages().iter().copied().find(|&rung| rung >= past).unwrap_or(past.min(longest))
}
