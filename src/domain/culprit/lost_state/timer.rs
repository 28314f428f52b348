//! How well an idle timer explains lives that ended in silence: one that rules all of the connections or a share of
//! them, and that was set anew now and then.

use std::sync::LazyLock;

use super::{AGAINST, COMPARED, Life, Sent};
use crate::domain::life::tolerance::{PROBED, probed};

/// How unlikely it is beforehand, as a logarithm, that a timer was set anew at a time among the lives that are
/// compared.
const CHANGE: f64 = -7.0;
/// How unlikely it is beforehand, as a logarithm, that a timer rules a part of the connections only.
const PART: f64 = -1.5;
/// Those of one part and of the other contradict one another as they are born, so often at least: a timer that was set
/// longer and back again makes two contradictions.
const CONTRADICTIONS: usize = 3;
/// How unlikely it is, as a logarithm, that a timer ignores the packets of TCP keepalive, once for each that it killed.
const IGNORES_KEEPALIVE: f64 = -1.0;
/// How unlikely it is, as a logarithm, that one dies which its timer strikes.
pub(super) const DIES: f64 = -0.01;
/// Timers lie within so many orders of magnitude, of e each: from a second to an hour.
pub(super) const ORDERS: f64 = 8.0;

/// A timer, as it was set over the time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timer {
    /// The logarithm of the likelihood of what was seen.
    pub(super) likelihood: f64,
    anew: Anew,
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
enum Anew {
    Born,
    Seen,
}

impl Anew {
    const fn of(self, life: &Life) -> f64 {
        match self {
            Self::Born => life.born,
            Self::Seen => life.seen,
        }
    }
}

/// Since when a timer is set as it is now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Since {
    anew: Anew,
    /// In seconds since the Unix epoch.
    from: f64,
}

impl Since {
    /// Whether this life was under the setting of now.
    pub fn holds(self, life: &Life) -> bool {
        self.anew.of(life) >= self.from
    }
}

/// A timer, as it is set now, that rules a part of the connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// The age that it strikes at, in seconds: no older than that of the youngest that it struck.
    pub limit: f64,
    /// Since when it is set so.
    pub since: Since,
    /// How many of this age and older died under this setting ...
    pub died: usize,
    /// ... and how many lived.
    pub lived: usize,
}

/// One life, as a timer is fitted to it.
#[derive(Debug, Clone, Copy)]
struct Trial {
    age: f64,
    /// The logarithm of the age.
    order: f64,
    /// The place of its time among all of them: when it was born, or seen, whichever decides under which setting it
    /// was.
    place: usize,
    is_dead: bool,
}

impl Timer {
    /// The best timer that was set anew twice at most.
    ///
    /// Both changes are looked for at once: where a timer was set longer and back again, neither of them alone explains
    /// more than a timer of a part that was never changed.
    fn of(by_age: &[Life], anew: Anew) -> Self {
        let mut times: Vec<f64> = by_age.iter().map(|life| anew.of(life)).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let trial = |life: &Life| {
            let (age, at) = (life.age(), anew.of(life));
            let place = times.partition_point(|time| *time < at);
            Trial { age, order: age.ln(), place, is_dead: life.is_dead }
        };
        let trials: Vec<Trial> = by_age.iter().map(trial).collect();
        // Before the first and after the last all times are free.
        let time = |place: usize| match place {
            0 => f64::NEG_INFINITY,
            place => times.get(place).copied().unwrap_or(f64::INFINITY),
        };
        let fit = |from: usize, until: usize| {
            let is_in = |trial: &&Trial| (from..until).contains(&trial.place);
            let (likelihood, limit) = timer_among(trials.iter().filter(is_in));
            Setting { from: time(from), until: time(until), limit, likelihood }
        };
        let whole = fit(0, times.len());
        let mut best = Self { likelihood: whole.likelihood, anew, settings: vec![whole] };
        // No setting explains more than all that was seen of it.
        if best.likelihood >= CHANGE {
            return best;
        }
        let around = changes(&trials, times.len());
        let around: Vec<(usize, Setting, Setting)> =
            around.into_iter().map(|place| (place, fit(0, place), fit(place, times.len()))).collect();
        for (number, (from, first, rest)) in around.iter().enumerate() {
            let once = first.likelihood + rest.likelihood + CHANGE;
            if once > best.likelihood {
                best = Self { likelihood: once, anew, settings: vec![*first, *rest] };
            }
            for (until, _, last) in &around[number + 1..] {
                let at_most = first.likelihood + last.likelihood + 2.0 * CHANGE;
                if at_most <= best.likelihood {
                    continue;
                }
                let between = fit(*from, *until);
                let twice = at_most + between.likelihood;
                if twice > best.likelihood {
                    best = Self { likelihood: twice, anew, settings: vec![*first, between, *last] };
                }
            }
        }
        best
    }

    /// What is set now, where a share of the connections explains more than all of them.
    pub(super) fn part(&self, lives: &[Life]) -> Option<Part> {
        let Setting { from, limit, .. } = *self.settings.last()?;
        let since = Since { anew: self.anew, from };
        let is_in = |life: &&Life| since.holds(life) && life.age() >= limit * (1.0 - 1e-9);
        let mut reached: Vec<&Life> = lives.iter().filter(is_in).collect();
        reached.sort_by(|a, b| a.born.total_cmp(&b.born));
        let died = reached.iter().filter(|life| life.is_dead).count();
        let lived = reached.len() - died;
        let is_a_part = share_of(died, lived) + PART > died as f64 * DIES + lived as f64 * AGAINST;
        let lives = reached.iter().map(|life| (life.age(), life.is_dead));
        (limit.is_finite() && is_a_part && contradictions(lives) >= CONTRADICTIONS).then_some(Part {
            limit,
            since,
            died,
            lived,
        })
    }

    /// The age that it strikes all at, as it is set now, in seconds: not younger than the oldest that lived, and no older
    /// than the youngest that it struck.
    pub(super) fn of_all(&self, lives: &[Life]) -> Option<f64> {
        let limit = self.settings.last()?.limit;
        (limit.is_finite() && self.part(lives).is_none()).then_some(limit)
    }

    /// Whether it strikes one that is as old as this.
    pub(super) fn strikes(&self, one: &Life) -> bool {
        let at = self.anew.of(one);
        let is_set = |setting: &&Setting| at >= setting.from && at < setting.until;
        let limit = self.settings.iter().find(is_set).map_or(f64::INFINITY, |setting| setting.limit);
        one.sent == Sent::Nothing && one.age() >= limit
    }
}

/// Where a timer may have been set anew, of so many times: between those that died and those that lived. Of a row that
/// died, as of a row that lived, either setting explains all where it explains the ones next to it.
fn changes(trials: &[Trial], times: usize) -> Vec<usize> {
    let mut fates = vec![(false, false); times];
    for trial in trials {
        let (died, lived) = &mut fates[trial.place];
        *(if trial.is_dead { died } else { lived }) = true;
    }
    (1..times).filter(|&place| fates[place - 1] != fates[place] || fates[place] == (true, true)).collect()
}

/// How often lives contradict those before them, back to the one that did last: each by the age in seconds that it lived
/// to, or was found dead at, and whether it is dead. No limit lies between one that died and one that lived longer.
pub fn contradictions(lives: impl Iterator<Item = (f64, bool)>) -> usize {
    let (mut survived, mut died, mut count) = (0.0_f64, f64::INFINITY, 0);
    for (age, is_dead) in lives {
        if is_dead {
            let is_against = age <= survived;
            count += usize::from(is_against);
            (survived, died) = if is_against { (0.0, age) } else { (survived, died.min(age)) };
        } else {
            let is_against = age >= died + probed(died);
            count += usize::from(is_against);
            (survived, died) = if is_against { (age, f64::INFINITY) } else { (survived.max(age), died) };
        }
    }
    count
}

/// The best timer, set anew for those that are born later or for all.
pub(super) fn timer(lives: &[Life]) -> Timer {
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
    let [born, seen] = [Anew::Born, Anew::Seen].map(|anew| Timer::of(&by_age, anew));
    let best = if born.likelihood >= seen.likelihood { born } else { seen };
    Timer { likelihood: best.likelihood + against, ..best }
}

/// The log-likelihood of a timer that rules all of the connections or a share of them, and the age that it strikes
/// at, in seconds; `lives` by age, the oldest first.
///
/// Every age is as likely beforehand as any other of its order: a timer that would have to lie in a narrow gap
/// between those that lived and those that died explains less than one that may be anywhere. Without that the
/// search itself, which looks ever closer, would find a timer in deaths by chance.
fn timer_among<'a>(lives: impl Iterator<Item = &'a Trial> + Clone) -> (f64, f64) {
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
        let width = lives.peek().map_or(1.0, |next| (life.order - next.order).max(PROBED.share));
        let likelihood = likelihood + (width / ORDERS).ln();
        if likelihood > best.0 {
            best = (likelihood, life.age);
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
