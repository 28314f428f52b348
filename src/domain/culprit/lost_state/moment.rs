//! Moments at which flows were lost: all are dead that were born before one, and those born after it live.

use super::timer::timer;
use super::{Life, Sent, here_and_there};

/// How unlikely a moment of loss is beforehand, as a logarithm.
const MOMENT: f64 = -1.2;
/// By how much, as a logarithm, a moment must be ahead of any other story: it is said of all the deaths around it at
/// once ...
const MOMENT_AHEAD: f64 = 8.5;
/// ... and more where a timer of a part explains them, by which some that were held at one time die, and some live, by
/// chance ...
const AHEAD_OF_A_PART: f64 = 11.0;
/// ... and of so many at least.
const AT_ONE_MOMENT: usize = 3;

/// A moment at which flows were lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// When, in seconds since the Unix epoch.
    at: f64,
    /// The oldest age that it explains, in seconds: those that were born later outlived that.
    oldest: f64,
    /// When the last of those was born that it explains, in seconds since the Unix epoch: it was later than that.
    after: f64,
    /// By how much it is more ahead of any other story than it must be, as a logarithm.
    pub(super) margin: f64,
}

impl Moment {
    /// Whether it explains a life's end, as those show that were born later.
    pub(super) fn explains(&self, life: &Life) -> bool {
        life.is_dead && life.spans(self.at) && life.age() <= self.oldest
    }

    /// Whether it took a life along, however old: all flows were lost then, for nobody lived through it.
    pub(super) fn took(&self, life: &Life) -> bool {
        life.is_dead && life.spans(self.at) && life.born <= self.after
    }
}

/// The moment that explains the most deaths, where it explains them so much better than anything else that it
/// is believed.
pub(super) fn moment(lives: &[Life], young: f64, survivors: &[Life]) -> Option<Moment> {
    let dead = || lives.iter().filter(|life| life.is_dead);
    // That they are lost, and do not die of a timer that was set shorter, is shown by those that are born later
    // and live past their ages.
    let outlived = |moment: f64| {
        let later = survivors.iter().filter(|life| life.sent == Sent::Nothing && life.born >= moment);
        later.map(Life::age).fold(0.0, f64::max)
    };
    let (count, best) = moments(lives, survivors)
        .map(|at| Moment { at, oldest: outlived(at), after: f64::NEG_INFINITY, margin: 0.0 })
        .map(|found| (dead().filter(|life| found.explains(life)).count(), found))
        .max_by_key(|(count, _)| *count)?;
    if count < AT_ONE_MOMENT {
        return None;
    }
    let after =
        dead().filter(|life| best.explains(life)).map(|life| life.born).fold(f64::NEG_INFINITY, f64::max);
    let likelihood = |lives: &[Life]| timer(lives).likelihood.max(here_and_there(lives, young));
    let rest: Vec<Life> = lives.iter().filter(|life| !best.explains(life)).copied().collect();
    let timer = timer(lives);
    let ahead = if timer.part(lives).is_some() { AHEAD_OF_A_PART } else { MOMENT_AHEAD };
    let whole = timer.likelihood.max(here_and_there(lives, young));
    let margin = MOMENT + likelihood(&rest) - whole - ahead;
    (margin >= 0.0).then_some(Moment { after, margin, ..best })
}

/// The moments that some of the dead span, and no survivor: each span of them by its end.
pub(super) fn moments(lives: &[Life], survivors: &[Life]) -> impl Iterator<Item = f64> {
    let ends = lives.iter().filter(|life| life.is_dead).map(|life| life.seen);
    let ends = ends.chain(survivors.iter().map(|life| life.born));
    ends.filter(|&moment| !survivors.iter().any(|life| life.spans(moment)))
}
