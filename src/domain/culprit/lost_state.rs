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

use std::cell::{OnceCell, RefCell};

use crate::domain::life::tolerance::ONE_AGE;

mod beside;
mod mixed;
mod moment;
mod timer;
mod unshown;

pub use beside::{Beside, COMPARED};
pub use timer::{Part, Since, contradictions};

use mixed::{Mixed, mixed};
use moment::{Moment, moment};
use timer::{Timer, timer};

/// One life on the path, as far as it was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Life {
    /// When it was born, in seconds since the Unix epoch.
    pub born: f64,
    /// When it was last seen alive, or found dead, in seconds since the Unix epoch.
    pub seen: f64,
    /// Whether it was found dead then.
    pub is_dead: bool,
    /// What it sent meanwhile.
    pub sent: Sent,
}

/// What a canary sends while it waits for its probe: whether an idle timer of the network reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing.
    Nothing,
    /// The packets of TCP keepalive, which hardly any device ignores.
    Keepalive,
    /// Pings: no idle timer reaches it.
    Pings,
}

impl Life {
    /// How old it was when it was last seen, in seconds.
    pub fn age(&self) -> f64 {
        self.seen - self.born
    }

    /// As it tells where all that are silent for so many seconds are heard to be closed: one that is found dead later was
    /// lost before, for it would have been closed, and heard.
    pub fn closed_at(self, age: f64) -> Self {
        let is_lost_before = self.is_dead && self.sent != Sent::Pings && self.age() > age;
        if is_lost_before { Self { seen: self.born + age, ..self } } else { self }
    }

    /// Whether it lasted through a moment: born before it, and seen at it or later.
    fn spans(&self, moment: f64) -> bool {
        self.born < moment && moment <= self.seen
    }
}

/// Whether those found dead are looked at while they can wait, or for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Other lives may yet tell more: what is said now must be the surer.
    Sooner,
    /// They have waited for others.
    Last,
}

impl Look {
    /// By how much more, as a logarithm, a story must be ahead of the others.
    const fn ahead(self) -> f64 {
        /// Who looks again and again at lives by chance finds any story ahead at some time.
        const SOONER_AHEAD: f64 = 2.0;
        match self {
            Self::Sooner => SOONER_AHEAD,
            Self::Last => 0.0,
        }
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

/// What the lives beside a silent death tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What explains it.
    pub story: Story,
    /// Whether it was as likely lost at a moment, where a timer explains the others.
    pub may_be_lost: Option<bool>,
}

/// How unlikely it is, as a logarithm, that a life ends against its story.
const AGAINST: f64 = -4.6;
/// By how much, as a logarithm, deaths here and there must be ahead of a timer before they are believed.
const SCATTER_AHEAD: f64 = 6.5;
/// ... and of a timer beside moments that nothing shows: of those that it does not strike, moments take many.
const SCATTER_BESIDE_MOMENTS: f64 = 1.0;
/// The same for a timer.
const TIMER_AHEAD: f64 = 7.5;
/// The same for a timer of a part of the connections, which flows that are forgotten here and there look like sooner.
const TIMER_OF_A_PART_AHEAD: f64 = 8.0;
/// By how much one of them must be ahead where the same is told already: a path seldom changes its nature ...
const TIMER_AHEAD_AGAIN: f64 = 1.0;
const SCATTER_AHEAD_AGAIN: f64 = 2.0;
/// ... and where the other one is.
const AHEAD_OF_WHAT_IS_TOLD: f64 = 10.0;
/// So many moments are looked for among the lives that are compared.
const MOST_MOMENTS: usize = 3;
/// By how much a timer must be ahead of moments that nothing shows ...
const OVER_MOMENTS: f64 = 2.0;
/// ... and one of a part that is told already: those on the other part are as old as those that it strikes, and a moment that
/// takes all explains as well that some die in a row.
const PART_OVER_MOMENT: f64 = 1.0;
/// So many that died, and so many that lived at the same ages, are the least that a timer of a part is seen by.
const OF_A_PART: usize = 3;
/// So many deaths with TCP keepalive at the age of a timer show that it ignores the packets of that.
const IGNORES_KEEPALIVE: usize = 2;

/// What the lives of one server tell together of the silent deaths among them.
#[derive(Debug, Clone)]
pub struct Stories {
    /// The moments at which flows were lost.
    moments: Vec<Moment>,
    /// The lives that no such moment explains.
    lives: Vec<Life>,
    young: f64,
    survivors: Vec<Life>,
    timer: Timer,
    /// Whether that timer rules a part of the connections only.
    is_of_a_part: bool,
    scatter: f64,
    mixed: Mixed,
    since: f64,
    /// The likelihood of a timer beside moments, once it was asked for.
    beside_moments: OnceCell<f64>,
    /// The likelihoods of lost state so far asked for, each by its first moment and how many it was of at most.
    lost_at_moments: RefCell<Vec<(f64, usize, f64)>>,
}

impl Stories {
    /// Reads those found dead in silence and those that answered.
    pub fn of(beside: &Beside) -> Self {
        let young = beside.young;
        let mut lives: Vec<Life> = beside.lives.clone();
        lives.sort_by(|a, b| a.seen.total_cmp(&b.seen));
        let mut lives = lives.split_off(lives.len().saturating_sub(COMPARED));
        let survivors: Vec<Life> = lives.iter().filter(|life| !life.is_dead).copied().collect();
        let mut moments = Vec::new();
        for _ in 0..MOST_MOMENTS {
            let Some(found) = moment(&lives, young, &survivors) else { break };
            lives.retain(|life| !found.explains(life));
            moments.push(found);
        }
        let (timer, scatter) = (timer(&lives), here_and_there(&lives, young));
        let is_of_a_part = timer.part(&lives).is_some();
        let mixed = mixed(&lives, young);
        let since = beside.since;
        let (beside_moments, lost_at_moments) = (OnceCell::new(), RefCell::default());
        Self {
            moments,
            lives,
            young,
            survivors,
            timer,
            is_of_a_part,
            scatter,
            mixed,
            since,
            beside_moments,
            lost_at_moments,
        }
    }

    /// Whether they reach back to when this one was born: later they tell less and less of what happened while it lived.
    pub fn reach_back_to(&self, one: &Life) -> bool {
        self.since <= one.born
    }

    /// Explains one of those found dead, by what is told of its server so far. Of a timer of a part, whether it may have been
    /// lost was read before, where these no longer reach back to it: later lives do not show with whom it was lost.
    pub fn of_one(&self, one: &Life, told: &Told, look: Look, read_before: Option<bool>) -> Reading {
        let sooner = look.ahead();
        let Self { timer, is_of_a_part, scatter, mixed, .. } = self;
        // Where there are both, those are the timer's that are as old. Younger ones may be of a timer of a part.
        let is_struck_beside = mixed.strikes(one);
        let timer_likelihood = match is_struck_beside {
            true => timer.likelihood.max(mixed.likelihood),
            false => timer.likelihood,
        };
        let over_scatter = timer_likelihood - scatter;
        let is_told_to_strike = self.is_told_to_strike(one, told);
        let of_all_moments = (OVER_MOMENTS, MOST_MOMENTS);
        let (timer_ahead, (over_moments, most_moments), scatter_ahead) = if is_told_to_strike {
            let moments = if *is_of_a_part { (PART_OVER_MOMENT, 1) } else { (-OVER_MOMENTS, MOST_MOMENTS) };
            (TIMER_AHEAD_AGAIN, moments, AHEAD_OF_WHAT_IS_TOLD)
        } else if told.is_here_and_there {
            (AHEAD_OF_WHAT_IS_TOLD, of_all_moments, SCATTER_AHEAD_AGAIN)
        } else {
            let ahead = if *is_of_a_part { TIMER_OF_A_PART_AHEAD } else { TIMER_AHEAD };
            (ahead + sooner, of_all_moments, SCATTER_AHEAD + sooner)
        };
        let is_timers = over_scatter >= timer_ahead;
        let over_lost = || {
            let unseen = if *is_of_a_part { self.longer_unseen(one, told) } else { 0.0 };
            timer_likelihood - self.lost_at_moments(one, most_moments) - unseen
        };
        let read_before = read_before.filter(|_| *is_of_a_part && !self.reach_back_to(one));
        let mut may_be_lost = None;
        let of_it = self.moments.iter().filter(|moment| moment.explains(one) || moment.took(one));
        let story = if let Some(margin) = of_it.map(|moment| moment.margin).reduce(f64::max) {
            // Of a timer of a part some die in a row, and some live, by chance, until more of that age are seen.
            if margin >= 2.0 * sooner { Story::OneMoment } else { Story::Open }
        } else if is_timers && !*may_be_lost.insert(read_before.unwrap_or_else(|| over_lost() < over_moments))
        {
            // One that is younger than what strikes is of another story.
            if is_told_to_strike || timer.strikes(one) || is_struck_beside {
                Story::Timer
            } else {
                Story::Open
            }
        } else if -over_scatter >= scatter_ahead
            && scatter - self.beside_moments.get_or_init(|| self.timer_beside_moments())
                >= SCATTER_BESIDE_MOMENTS
        {
            Story::HereAndThere
        } else {
            Story::Open
        };
        Reading { story, may_be_lost }
    }

    /// Whether others that are found dead later may yet show that this one was lost with them, though a timer is told that
    /// strikes at its age: on the other part of the connections they are as old as those that it strikes.
    pub fn awaits_company(&self, one: &Life, told: &Told) -> bool {
        self.is_of_a_part && self.is_told_to_strike(one, told)
    }

    fn is_told_to_strike(&self, one: &Life, told: &Told) -> bool {
        told.timer.is_some_and(|limit| one.age() >= limit * (1.0 - 1e-9) && self.may_strike(one, limit))
    }

    /// By how much it is likelier that something was lost while this one lived, as a logarithm, than while one did that just
    /// reaches the age at which a timer of a part is told to strike: by the time in which nobody lived, of those that are
    /// compared, who was seen to live on.
    fn longer_unseen(&self, one: &Life, told: &Told) -> f64 {
        let Some(limit) = told.timer else { return 0.0 };
        let mut seen: Vec<(f64, f64)> = self.survivors.iter().map(|life| (life.born, life.seen)).collect();
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut until, mut unseen) = (one.born, 0.0);
        for (born, seen) in seen.into_iter().chain([(one.seen, one.seen)]) {
            unseen += (born.min(one.seen) - until).max(0.0);
            until = until.max(seen);
        }
        (unseen / limit).ln().max(0.0)
    }

    /// Whether a timer that is told, in seconds, may reach one that sends what this one does. Hardly any device ignores
    /// the packets of TCP keepalive: one that does is known by two that it struck, and none that it spared.
    fn may_strike(&self, one: &Life, limit: f64) -> bool {
        let is_kept = |life: &&Life| life.sent == Sent::Keepalive && life.age() >= limit * (1.0 - 1e-9);
        match one.sent {
            Sent::Nothing => true,
            Sent::Keepalive => {
                let died = self.lives.iter().filter(|life| life.is_dead).filter(is_kept).count();
                died >= IGNORES_KEEPALIVE && !self.survivors.iter().any(|life| is_kept(&life))
            }
            Sent::Pings => false,
        }
    }
}

/// What is told of a server so far: it takes less to say the same again, and more to say the opposite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Told {
    /// The age in seconds at which an idle timer strikes that only probes find, where one is told.
    pub timer: Option<f64>,
    /// Whether flows are told to be forgotten here and there.
    pub is_here_and_there: bool,
}

/// Whether the lives beside it bear out that a timer strikes all of an age between these two, in seconds, as it is set
/// now. Deaths by chance between survivals by chance look like one, too.
pub fn bears_out_all(beside: &Beside, from: f64, to: f64) -> bool {
    let limit = timer(&beside.lives).of_all(&beside.lives);
    limit.is_some_and(|limit| limit >= from - ONE_AGE.either(from) && limit <= to + ONE_AGE.either(to))
}

/// The timer of now that rules a part of the connections, where it explains the lives so much better than lost state
/// that it is believed: `None` where a timer of all does, or none.
pub fn timer_of_a_part(beside: &Beside) -> Option<Part> {
    let Beside { lives, young, .. } = beside;
    let died = lives.iter().filter(|life| life.is_dead).count();
    if died < OF_A_PART || lives.len() - died < OF_A_PART {
        return None;
    }
    let found = timer(lives);
    let part = found.part(lives)?;
    let is_enough = part.died >= OF_A_PART && part.lived >= OF_A_PART;
    (is_enough && found.likelihood - here_and_there(lives, *young) >= TIMER_OF_A_PART_AHEAD).then_some(part)
}

/// The logarithm of the sum of two numbers that are given by theirs.
fn either(one: f64, other: f64) -> f64 {
    let (less, more) = if one < other { (one, other) } else { (other, one) };
    more + (less - more).exp().ln_1p()
}

/// The rates at which flows may be forgotten: from one in a hundred of the longest life to a hundred in one, in steps of a
/// quarter.
fn rates(longest: f64) -> impl Iterator<Item = f64> {
    const STEPS: i32 = 42;
    (0..STEPS).map(move |step| 0.01 * 1.25_f64.powi(step) / longest)
}

/// The log-likelihood of what was seen of one life where flows are forgotten at this rate, a second.
fn at_rate(rate: f64, life: &Life) -> f64 {
    let dies = (1.0 - (-rate * life.age()).exp()).max(1e-9);
    if life.is_dead { dies.ln() } else { -rate * life.age() }
}

/// The log-likelihood where each of these rates, given by theirs, is as likely beforehand.
fn any_of(likelihoods: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) =
        likelihoods.fold((0, f64::NEG_INFINITY), |(count, sum), one| (count + 1, either(sum, one)));
    sum - f64::from(count).ln()
}

/// The log-likelihood that flows are forgotten whatever their age: every rate is as likely beforehand. Others lived
/// for `young` seconds together.
fn here_and_there(lives: &[Life], young: f64) -> f64 {
    let longest = lives.iter().map(Life::age).fold(1.0, f64::max);
    let at = |rate: f64| lives.iter().map(|life| at_rate(rate, life)).sum::<f64>() - rate * young;
    any_of(rates(longest).map(at))
}

#[cfg(test)]
mod tests;
