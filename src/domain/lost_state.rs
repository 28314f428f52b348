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

use std::sync::LazyLock;

use super::tolerance::PROBED;

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
/// How unlikely it is, as a logarithm, that a timer ignores the packets of TCP keepalive, once for each that it killed.
const IGNORES_KEEPALIVE: f64 = -1.0;
/// How unlikely a moment of loss is beforehand, as a logarithm.
const MOMENT: f64 = -1.2;
/// How unlikely it is beforehand, as a logarithm, that a timer was set anew at a time among the lives that are
/// compared ...
const CHANGE: f64 = -4.0;
/// ... and so often at most.
const MOST_CHANGES: usize = 2;
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
const TIMER_AHEAD: f64 = 5.0;
/// How unlikely a moment of loss is beforehand, as a logarithm, that nothing shows which was born later ...
const UNSHOWN_MOMENT: f64 = -3.0;
/// ... and by how much a timer must be ahead of such.
const OVER_MOMENTS: f64 = 2.0;
/// How unlikely it is, as a logarithm, that one dies which its timer strikes.
const DIES: f64 = -0.01;
/// Timers lie within so many orders of magnitude, of e each: from a second to an hour.
const ORDERS: f64 = 8.0;
/// So many lives are compared, the newest.
pub const COMPARED: usize = 96;

/// Explains one silent death by the lives beside it, on the same server: those found dead in silence and those that
/// answered, in any order, this one not among them.
pub fn explain(one: &Life, beside: &[Life]) -> Story {
    let mut lives: Vec<Life> = beside.to_vec();
    lives.push(*one);
    lives.sort_by(|a, b| a.seen.total_cmp(&b.seen));
    let mut lives = lives.split_off(lives.len().saturating_sub(COMPARED));
    let survivors: Vec<Life> = lives.iter().filter(|life| !life.is_dead).copied().collect();
    for _ in 0..MOST_MOMENTS {
        let Some((moment, oldest)) = moment(&lives, &survivors) else { break };
        let explains = |life: &Life| life.is_dead && life.spans(moment) && life.age() <= oldest;
        if explains(one) {
            return Story::OneMoment;
        }
        lives.retain(|life| !explains(life));
    }
    let (timer, scatter) = (timer(&lives), here_and_there(&lives));
    if timer.likelihood - scatter >= TIMER_AHEAD
        && timer.likelihood - lost_at_moments(one, &lives, &survivors) >= OVER_MOMENTS
    {
        // One that is younger than what strikes is of another story.
        if timer.strikes(one) { Story::Timer } else { Story::Open }
    } else if scatter - timer.likelihood >= SCATTER_AHEAD {
        Story::HereAndThere
    } else {
        Story::Open
    }
}

/// The moment that explains the most deaths, where it explains them so much better than anything else that it
/// is believed; and the oldest age that it explains, in seconds.
fn moment(lives: &[Life], survivors: &[Life]) -> Option<(f64, f64)> {
    let dead = || lives.iter().filter(|life| life.is_dead);
    // That they are lost, and do not die of a timer that was set shorter, is shown by those that are born later
    // and live past their ages.
    let outlived = |moment: f64| {
        let later = survivors.iter().filter(|life| life.sent == Sent::Nothing && life.born >= moment);
        later.map(Life::age).fold(0.0, f64::max)
    };
    let explains = |(moment, oldest): (f64, f64), life: &Life| {
        life.is_dead && life.spans(moment) && life.age() <= oldest
    };
    let (count, best) = moments(lives, survivors)
        .map(|moment| (moment, outlived(moment)))
        .map(|found| (dead().filter(|life| explains(found, life)).count(), found))
        .max_by_key(|(count, _)| *count)?;
    if count < AT_ONE_MOMENT {
        return None;
    }
    let likelihood = |lives: &[Life]| timer(lives).likelihood.max(here_and_there(lives));
    let rest: Vec<Life> = lives.iter().filter(|life| !explains(best, life)).copied().collect();
    (MOMENT + likelihood(&rest) - likelihood(lives) >= MOMENT_AHEAD).then_some(best)
}

/// The moments that some of the dead span, and no survivor: each span of them by its end.
fn moments(lives: &[Life], survivors: &[Life]) -> impl Iterator<Item = f64> {
    let ends = lives.iter().filter(|life| life.is_dead).map(|life| life.seen);
    let ends = ends.chain(survivors.iter().map(|life| life.born));
    ends.filter(|&moment| !survivors.iter().any(|life| life.spans(moment)))
}

/// The log-likelihood that this one was lost at a moment with others, whether or not those that are born later
/// show it yet: with moments that nobody lived through before, where they explain more.
fn lost_at_moments(one: &Life, lives: &[Life], survivors: &[Life]) -> f64 {
    let likelihood = |lives: &[Life]| timer(lives).likelihood.max(here_and_there(lives));
    let (mut rest, mut best, mut prior) = (lives.to_vec(), f64::NEG_INFINITY, 0.0);
    for place in 0..MOST_MOMENTS {
        let count = |moment: f64| rest.iter().filter(|life| life.is_dead && life.spans(moment)).count();
        let moments = moments(&rest, survivors).filter(|moment| place > 0 || one.spans(*moment));
        let Some(moment) = moments.max_by_key(|moment| count(*moment)) else { break };
        rest.retain(|life| !life.is_dead || !life.spans(moment));
        prior += UNSHOWN_MOMENT;
        best = best.max(prior + likelihood(&rest));
    }
    best
}

/// A timer, as it was set over the time.
#[derive(Debug, Clone, PartialEq)]
struct Timer {
    /// The logarithm of the likelihood of what was seen.
    likelihood: f64,
    since: Since,
    settings: Vec<Setting>,
}

/// The age that a timer strikes at, for those that are born, or probed, from one time on until another, in
/// seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Setting {
    from: f64,
    until: f64,
    /// In seconds; none is beyond every age.
    limit: f64,
    /// The logarithm of the likelihood of what was seen of it.
    likelihood: f64,
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
    /// The best timer that was set anew so often at most.
    fn of(by_age: &[Life], since: Since) -> Self {
        let fit = |from: f64, until: f64| {
            let is_in = |life: &&Life| since.of(life) >= from && since.of(life) < until;
            let (likelihood, limit) = timer_among(by_age.iter().filter(is_in));
            Setting { from, until, limit, likelihood }
        };
        let mut timer =
            Self { likelihood: 0.0, since, settings: vec![fit(f64::NEG_INFINITY, f64::INFINITY)] };
        for _ in 0..MOST_CHANGES {
            let splits = timer.settings.iter().enumerate().flat_map(|(place, whole)| {
                let times = by_age.iter().map(|life| since.of(life));
                times.filter(|at| *at > whole.from && *at < whole.until).map(move |at| {
                    let (before, after) = (fit(whole.from, at), fit(at, whole.until));
                    (before.likelihood + after.likelihood - whole.likelihood + CHANGE, place, before, after)
                })
            });
            let best = splits.max_by(|a, b| a.0.total_cmp(&b.0));
            let Some((_, place, before, after)) = best.filter(|(gain, ..)| *gain > 0.0) else { break };
            timer.settings.splice(place..=place, [before, after]);
            timer.likelihood += CHANGE;
        }
        timer.likelihood += timer.settings.iter().map(|setting| setting.likelihood).sum::<f64>();
        timer
    }

    /// Whether it strikes one that is as old as this.
    fn strikes(&self, one: &Life) -> bool {
        let at = self.since.of(one);
        let is_set = |setting: &&Setting| at >= setting.from && at < setting.until;
        let limit = self.settings.iter().find(is_set).map_or(f64::INFINITY, |setting| setting.limit);
        one.sent == Sent::Nothing && one.age() >= limit
    }
}

/// The best timer, set anew for those that are born later or for all.
fn timer(lives: &[Life]) -> Timer {
    // Those that send are no timer's, and only speak against it.
    let against = |life: &&Life| life.is_dead && life.sent != Sent::Nothing;
    let against = lives.iter().filter(against).map(|life| match life.sent {
        Sent::Nothing => 0.0,
        Sent::Keepalive => IGNORES_KEEPALIVE,
        Sent::Pings => AGAINST,
    });
    let against: f64 = against.sum();
    let mut by_age: Vec<Life> = lives.iter().filter(|life| life.sent == Sent::Nothing).copied().collect();
    by_age.sort_by(|a, b| b.age().total_cmp(&a.age()));
    let [born, seen] = [Since::Born, Since::Seen].map(|since| Timer::of(&by_age, since));
    let best = if born.likelihood >= seen.likelihood { born } else { seen };
    Timer { likelihood: best.likelihood + against, ..best }
}

/// The log-likelihood of a timer that rules all of the connections or a share of them, and the age that it strikes
/// at, in seconds; `lives` by age, the oldest first.
///
/// Every age is as likely beforehand as any other of its order: a timer that would have to lie in a narrow gap
/// between those that lived and those that died explains less than one that may be anywhere. Without that the
/// search itself, which looks ever closer, would find a timer in deaths by chance.
fn timer_among<'a>(lives: impl Iterator<Item = &'a Life> + Clone) -> (f64, f64) {
    let dead = lives.clone().filter(|life| life.is_dead).count() as f64;
    let (mut died, mut lived) = (0_usize, 0_usize);
    // No timer at all is one beyond every age.
    let mut best = (dead * AGAINST, f64::INFINITY);
    let mut lives = lives.peekable();
    while let Some(life) = lives.next() {
        *(if life.is_dead { &mut died } else { &mut lived }) += 1;
        // Most timers rule all of the connections.
        let all = died as f64 * DIES + lived as f64 * AGAINST;
        let likelihood = (dead - died as f64) * AGAINST + all.max(share_of(died, lived) + PART);
        if likelihood <= best.0 {
            continue;
        }
        // Below the youngest there is as much room as up to the next number of its order.
        let width = lives.peek().map_or(1.0, |next| (life.age() / next.age()).ln().max(PROBED.share));
        let likelihood = likelihood + (width / ORDERS).ln();
        if likelihood > best.0 {
            best = (likelihood, life.age());
        }
    }
    best
}

/// The log-likelihood of so many that died and so many that lived, where every share is as likely beforehand.
fn share_of(died: usize, lived: usize) -> f64 {
    /// The logarithm of each factorial.
    static FACTORIALS: LazyLock<[f64; COMPARED + 2]> = LazyLock::new(|| {
        let mut sum = 0.0;
        std::array::from_fn(|number| {
            sum += (number.max(1) as f64).ln();
            sum
        })
    });
    FACTORIALS[died] + FACTORIALS[lived] - FACTORIALS[died + lived + 1]
}

/// The logarithm of the sum of two numbers that are given by theirs.
fn either(one: f64, other: f64) -> f64 {
    let (less, more) = if one < other { (one, other) } else { (other, one) };
    more + (less - more).exp().ln_1p()
}

/// The log-likelihood that flows are forgotten whatever their age: every rate is as likely beforehand.
fn here_and_there(lives: &[Life]) -> f64 {
    /// From a hundredth of the longest life to a hundred of them, in steps of a quarter.
    const STEPS: i32 = 42;
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
    let rates = (0..STEPS).map(|step| at(0.01 * 1.25_f64.powi(step) / longest));
    rates.reduce(either).unwrap_or(f64::NEG_INFINITY) - f64::from(STEPS).ln()
}

#[cfg(test)]
mod tests;
