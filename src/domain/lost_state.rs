//! Silent deaths: an idle timer, or a device that forgot its flows?
//!
//! A silent death tells only that the flow was forgotten at some time between the canary's birth and its
//! probe. Three stories explain a row of them, and each says something else of the lives beside it:
//!
//! ```text
//! a timer          all (or a share) of those die that are older than it, and none that are younger
//! one moment       all are dead that were born before it, and those born after it live
//! here and there   the longer a life, the likelier its death, and every age is outlived by others
//! ```
//!
//! Each story gives what was seen a likelihood; one that is ahead of the others by enough is believed.

use super::tolerance::PROBED;

/// One idle life on the path, as far as it was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Life {
    /// When it was born, in seconds since the Unix epoch.
    pub born: f64,
    /// When it was last seen alive, or found dead, in seconds since the Unix epoch.
    pub seen: f64,
    /// Whether it was found dead then.
    pub is_dead: bool,
}

impl Life {
    fn age(&self) -> f64 {
        self.seen - self.born
    }

    /// Whether it lasted through a moment: born before it, and seen at it or later.
    fn spans(&self, moment: f64) -> bool {
        self.born < moment && moment <= self.seen
    }
}

/// What explains a silent death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// An idle timer.
    Timer,
    /// A device forgot all its flows at one moment.
    OneMoment,
    /// A device forgets flows here and there.
    HereAndThere,
    /// Not decided yet.
    Open,
}

/// How unlikely it is, as a logarithm, that a life ends against its story.
const AGAINST: f64 = -4.6;
/// How unlikely a moment of loss is beforehand, as a logarithm.
const MOMENT: f64 = -1.2;
/// How unlikely it is beforehand, as a logarithm, that a timer was set anew among the lives that are compared.
const CHANGE: f64 = -3.0;
/// How unlikely it is beforehand, as a logarithm, that a timer rules a part of the connections only.
const PART: f64 = -2.5;
/// By how much, as a logarithm, deaths here and there must be ahead of a timer before they are believed.
const SCATTER_AHEAD: f64 = 5.0;
/// The same for one moment, which is said of all the deaths around it at once ...
const MOMENT_AHEAD: f64 = 6.0;
/// ... and of so many at least.
const AT_ONE_MOMENT: usize = 3;
/// So many moments are looked for among the lives that are compared.
const MOST_MOMENTS: usize = 3;
/// The same for a timer.
const TIMER_AHEAD: f64 = 4.0;
/// So many lives are compared, the newest.
pub const COMPARED: usize = 96;

/// Explains one silent death by the lives beside it, on the same server: idle ones, those found dead in silence
/// and those that answered, in any order, this one not among them.
pub fn explain(one: &Life, beside: &[Life]) -> Story {
    let mut lives: Vec<Life> = beside.to_vec();
    lives.push(*one);
    lives.sort_by(|a, b| a.seen.total_cmp(&b.seen));
    let mut lives = lives.split_off(lives.len().saturating_sub(COMPARED));
    let survivors: Vec<Life> = lives.iter().filter(|life| !life.is_dead).copied().collect();
    for _ in 0..MOST_MOMENTS {
        let Some(moment) = moment(&lives, &survivors) else { break };
        if one.spans(moment) {
            return Story::OneMoment;
        }
        lives.retain(|life| !life.is_dead || !life.spans(moment));
    }
    // Where all the dead may have died at one moment, those that are born from now on decide.
    if is_one_moment_possible(&lives, &survivors) {
        return Story::Open;
    }
    let (timer, scatter) = (timer(&lives), here_and_there(&lives));
    if timer.likelihood - scatter >= TIMER_AHEAD {
        // One that is younger than what strikes is of another story.
        if timer.strikes(one) { Story::Timer } else { Story::Open }
    } else if scatter - timer.likelihood >= SCATTER_AHEAD {
        Story::HereAndThere
    } else {
        Story::Open
    }
}

/// The moment that explains the most deaths, where it explains them so much better than anything else that it
/// is believed.
fn moment(lives: &[Life], survivors: &[Life]) -> Option<f64> {
    let (moment, explained) = widest_moment(lives, survivors)?;
    if explained < AT_ONE_MOMENT {
        return None;
    }
    let best = |lives: &[Life]| timer(lives).likelihood.max(here_and_there(lives));
    let rest: Vec<Life> = lives.iter().filter(|life| !life.is_dead || !life.spans(moment)).copied().collect();
    (MOMENT + best(&rest) - best(lives) >= MOMENT_AHEAD).then_some(moment)
}

/// The moment that most of the dead span, and no survivor, with their number.
fn widest_moment(lives: &[Life], survivors: &[Life]) -> Option<(f64, usize)> {
    let dead = || lives.iter().filter(|life| life.is_dead);
    let moments = dead().map(|life| life.seen).chain(survivors.iter().map(|life| life.born));
    moments
        .filter(|&moment| !survivors.iter().any(|life| life.spans(moment)))
        .map(|moment| (moment, dead().filter(|life| life.spans(moment)).count()))
        .max_by_key(|&(_, explained)| explained)
        .filter(|&(_, explained)| explained > 0)
}

fn is_one_moment_possible(lives: &[Life], survivors: &[Life]) -> bool {
    let dead = lives.iter().filter(|life| life.is_dead).count();
    widest_moment(lives, survivors).is_some_and(|(_, explained)| explained == dead)
}

/// A timer, and one that it was before it was set anew.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Timer {
    /// The logarithm of the likelihood of what was seen.
    likelihood: f64,
    /// The age it strikes at, in seconds; none is beyond every age.
    limit: f64,
    /// Until when, by birth or by probe in seconds since the Unix epoch, another age was set, in seconds.
    before: Option<(Since, f64, f64)>,
}

/// For whom a timer is set anew: for sessions that are born from then on, or for all at once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Since {
    Born,
    Seen,
}

impl Since {
    const fn of(self, life: &Life) -> f64 {
        match self {
            Self::Born => life.born,
            Self::Seen => life.seen,
        }
    }
}

impl Timer {
    /// Whether it strikes one that is as old as this.
    fn strikes(&self, one: &Life) -> bool {
        let limit = match self.before {
            Some((since, until, before)) if since.of(one) < until => before,
            Some(_) | None => self.limit,
        };
        one.age() >= limit
    }
}

/// The best timer, or the best that was set anew once.
fn timer(lives: &[Life]) -> Timer {
    let mut by_age: Vec<Life> = lives.to_vec();
    by_age.sort_by(|a, b| b.age().total_cmp(&a.age()));
    let (likelihood, limit) = best_limit(by_age.iter());
    let whole = Timer { likelihood, limit, before: None };
    let split = |since: Since, at: f64| {
        let (before, was) = best_limit(by_age.iter().filter(|life| since.of(life) < at));
        let (after, is) = best_limit(by_age.iter().filter(|life| since.of(life) >= at));
        Timer { likelihood: before + after + CHANGE, limit: is, before: Some((since, at, was)) }
    };
    let splits =
        by_age.iter().flat_map(|life| [Since::Born, Since::Seen].map(|since| split(since, since.of(life))));
    splits.fold(whole, |best, other| if other.likelihood > best.likelihood { other } else { best })
}

/// The log-likelihood of the best timer that rules all of the connections or a share of them, and the age that it
/// strikes at: `lives` by age, the oldest first.
fn best_limit<'a>(lives: impl Iterator<Item = &'a Life> + Clone) -> (f64, f64) {
    let dead = lives.clone().filter(|life| life.is_dead).count() as f64;
    let (mut died, mut lived) = (0.0_f64, 0.0_f64);
    // No timer at all is one beyond every age.
    let mut best = (dead * AGAINST, f64::INFINITY);
    let mut older = lives.clone();
    let mut next = older.next();
    for death in lives.filter(|life| life.is_dead) {
        let limit = death.age() - PROBED.either(death.age());
        while let Some(life) = next.filter(|life| life.age() >= limit) {
            *(if life.is_dead { &mut died } else { &mut lived }) += 1.0;
            next = older.next();
        }
        let share = (died + 0.5) / (died + lived + 1.0);
        // Most timers rule all of the connections.
        let all = died * (-0.01_f64) + lived * AGAINST;
        let some = died * share.ln() + lived * (1.0 - share).ln() + PART;
        let likelihood = (dead - died) * AGAINST + all.max(some);
        if likelihood > best.0 {
            best = (likelihood, limit);
        }
    }
    best
}

/// The log-likelihood of the best rate at which flows are forgotten whatever their age.
fn here_and_there(lives: &[Life]) -> f64 {
    let longest = lives.iter().map(Life::age).fold(1.0, f64::max);
    let at = |rate: f64| -> f64 {
        lives
            .iter()
            .map(|life| {
                let dies = (1.0 - (-rate * life.age()).exp()).max(1e-9);
                if life.is_dead { dies.ln() } else { -rate * life.age() }
            })
            .sum()
    };
    // From a hundredth of the longest life to a hundred of them, in steps of a quarter.
    (0..42).map(|step| at(0.01 * 1.25_f64.powi(step) / longest)).fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests;
