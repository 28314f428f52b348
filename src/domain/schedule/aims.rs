//! Ages to aim at, for those who search and those who watch.

use super::limit;
use super::tolerance::{HEARD, ONE_AGE};
use super::{SAME_SHARE, Scene};

/// Where to look at an upper bound again that a probe found, in seconds: at the ladder's end at most.
pub(super) fn past(scene: &Scene<'_>, upper: f64) -> f64 {
    limit::above(upper).min(scene.ladder.longest())
}

/// Where to aim a canary that is to hear an audible limit (seconds) strike: well past it, for a probe
/// in the very moment of the death would hide it.
pub(super) fn listening_age(scene: &Scene<'_>, limit: f64) -> f64 {
    /// Timers stray by less than this, in seconds.
    const CLEAR_SECONDS: f64 = 1.0;
    // And past what counts as its age still: what lives that long shows that it is gone.
    let is_gone = limit + ONE_AGE.either(limit) * (1.0 + SAME_SHARE);
    let past = (limit * (1.0 + HEARD.share) + CLEAR_SECONDS).max(is_gone);
    scene.ladder.ages().iter().copied().find(|&rung| rung >= past).unwrap_or(past.min(reach(scene)))
}

/// The longest age that a canary may be aimed at, in seconds: as far past the ladder's end as it takes to see that a limit
/// at that end is gone.
pub(super) fn reach(scene: &Scene<'_>) -> f64 {
    /// So many times what one timer's deaths lie apart: the limit itself may have been heard a little past the end.
    const APART: f64 = 2.1;
    let longest = scene.ladder.longest();
    longest + APART * ONE_AGE.either(longest)
}
