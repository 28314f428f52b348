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
    /// Not decided yet; a timer explains it best so far.
    RatherTimer,
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
/// By how much, as a logarithm, a story must be ahead before somebody is accused by it: twenty to one.
const AHEAD: f64 = 3.0;
/// The same for one moment, which is said of all the deaths around it at once ...
const MOMENT_AHEAD: f64 = 6.0;
/// ... and of so many at least.
const AT_ONE_MOMENT: usize = 3;
/// The same for a timer over deaths here and there: both may be the only ones left, and more lives decide.
const TIMER_AHEAD: f64 = 2.5;
/// So many lives are compared, the newest.
const COMPARED: usize = 96;
/// So many places are tried for a change.
const CHANGES_TRIED: usize = 12;

/// Explains one silent death by the lives beside it, on the same server: idle ones, those found dead in silence
/// and those that answered, in any order, this one not among them.
pub fn explain(one: &Life, beside: &[Life]) -> Story {
    let mut lives: Vec<Life> = beside.to_vec();
    lives.push(*one);
    lives.sort_by(|a, b| a.seen.total_cmp(&b.seen));
    let from = lives.len().saturating_sub(COMPARED);
    let lives = &lives[from..];
    let moments = moments(one, lives);
    let timer = with_a_change(lives);
    let random = here_and_there(lives);
    let moment = if moments.is_empty() {
        f64::NEG_INFINITY
    } else {
        MOMENT + with_a_change(&left_by(&moments, lives))
    };
    let is_repeated = lives.iter().any(|life| life.is_dead && !shares(&moments, life) && life != one);
    let shared = lives.iter().filter(|life| life.is_dead && shares(&moments, life)).count();
    if moment - timer.max(random) >= MOMENT_AHEAD && shared >= AT_ONE_MOMENT {
        return Story::OneMoment;
    }
    if moments.is_empty() || is_repeated {
        if timer - random >= TIMER_AHEAD && timer >= moment {
            return Story::Timer;
        }
        if random - timer.max(moment) >= AHEAD {
            return Story::HereAndThere;
        }
    }
    if timer >= random && timer >= moment { Story::RatherTimer } else { Story::Open }
}

/// The spans of time, each from and to, in which one moment may lie that ended this life: none that anybody
/// lived through.
fn moments(one: &Life, lives: &[Life]) -> Vec<(f64, f64)> {
    let mut spans = vec![(one.born, one.seen)];
    for life in lives.iter().filter(|life| !life.is_dead) {
        spans = spans
            .into_iter()
            .flat_map(|(from, to)| [(from, to.min(life.born)), (from.max(life.seen), to)])
            .filter(|(from, to)| from < to)
            .collect();
    }
    spans
}

/// Whether a dead life may have ended in one of these spans.
fn shares(moments: &[(f64, f64)], life: &Life) -> bool {
    moments.iter().any(|(from, to)| life.born < *to && life.seen > *from)
}

/// The lives that one moment in these spans leaves to be explained otherwise. Of all moments the one counts that
/// explains most deaths.
fn left_by(moments: &[(f64, f64)], lives: &[Life]) -> Vec<Life> {
    // The end of a span is the birth of a survivor or a probe: every death that shares any moment with it is
    // tried by its own bounds.
    let tries = moments.iter().flat_map(|&(from, to)| {
        let bounds = lives.iter().flat_map(|life| [life.born, life.seen]);
        bounds.filter(move |time| *time > from && *time <= to).chain([to]).map(move |time| time.min(to))
    });
    let explains = |time: f64, life: &Life| life.is_dead && life.born < time && life.seen >= time;
    let best = tries.max_by_key(|&time| lives.iter().filter(|life| explains(time, life)).count());
    lives.iter().filter(|life| best.is_none_or(|time| !explains(time, life))).copied().collect()
}

/// The log-likelihood of the best timer, or of one that was set anew once.
fn with_a_change(lives: &[Life]) -> f64 {
    let whole = timer(lives);
    let step = (lives.len() / CHANGES_TRIED).max(1);
    let split = |at: usize| timer(&lives[..at]) + timer(&lives[at..]) + CHANGE;
    (step..lives.len()).step_by(step).map(split).fold(whole, f64::max)
}

/// The log-likelihood of the best timer that rules all of the connections or a share of them.
fn timer(lives: &[Life]) -> f64 {
    let dead = || lives.iter().filter(|life| life.is_dead);
    // No timer at all is one beyond every age.
    let limits = dead().map(|life| life.age() - PROBED.either(life.age())).chain([f64::INFINITY]);
    limits.map(|limit| timer_at(limit, lives)).fold(f64::NEG_INFINITY, f64::max)
}

fn timer_at(limit: f64, lives: &[Life]) -> f64 {
    let (mut died, mut lived, mut against) = (0.0, 0.0, 0.0);
    for life in lives {
        match (life.age() >= limit, life.is_dead) {
            (true, true) => died += 1.0,
            (true, false) => lived += 1.0,
            (false, true) => against += AGAINST,
            (false, false) => {}
        }
    }
    let share = (died + 0.5) / (died + lived + 1.0);
    // Most timers rule all of the connections.
    let all = died * (-0.01_f64) + lived * AGAINST;
    let some = died * f64::ln(share) + lived * f64::ln(1.0 - share) + PART;
    against + if all > some { all } else { some }
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
