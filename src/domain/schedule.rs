//! The schedule: which canaries to launch, re-aim and recall now, so that the idle limit is located with
//! the fewest connections and in the least time, and then kept in sight at a low rate.
//!
//! A canary is probed once, but nothing forces that age to be chosen at its birth: an idle connection
//! can be probed at any age it has not passed yet. So canaries are launched early, aimed late, and
//! re-aimed after every outcome; the answer costs little more than one wait of the limit's own length.
//!
//! ```text
//! no death stands        -> sweep   the oldest canaries climb the ladder, one listens to the end
//! a death stands         -> refine  canaries in flight are re-aimed into the bracket
//! deaths and survivals contradict one another -> breadth  half of the canaries look at ages far apart
//! the bracket is sharp and confirmed, or the ladder's end was survived -> watch
//! ```

use crate::domain::life::kind::Kind;
use crate::domain::life::observation::History;
use crate::domain::life::tolerance;
use crate::domain::limit::ladder::Ladder;
use crate::domain::limit::{self, IdleLimit};

mod aims;
mod breadth;
mod refine;
mod sweep;
mod watch;

/// All that the schedule looks at. Times are seconds since the Unix epoch, ages are seconds.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The time now.
    pub now: f64,
    /// The ages people asked for. No canary is aimed beyond the last one, but to see whether a limit there is gone.
    pub ladder: &'a Ladder,
    /// How sharp the bracket is wanted, as a share: 0.01 for the limit within one per cent.
    pub precision: f64,
    /// How many idle canaries may be in flight at most.
    pub budget: usize,
    /// What finished lives taught.
    pub history: &'a History,
    /// The idle canaries in flight.
    pub in_flight: &'a [InFlight],
    /// Well-known default timeouts, in rising order, in seconds.
    pub common_timeouts: &'a [f64],
    /// Whether somebody waits for the answer: what can be found dead is looked at, though its death is sure, for each
    /// helps to tell by whom.
    pub hurried: bool,
}

/// One idle canary in flight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InFlight {
    /// The caller's name for it.
    pub id: u64,
    /// The idle age it is to be probed at, in seconds.
    pub age: f64,
    /// When it began to be idle, in seconds since the Unix epoch; now or later while it still connects.
    pub born: f64,
}

/// What to do now. Apart from the ids in `recalls` and `retimes`, nothing in flight changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Canaries to launch.
    pub launches: Vec<Launch>,
    /// Canaries in flight to take back: their outcome can teach nothing any more.
    pub recalls: Vec<u64>,
    /// Canaries in flight to aim at another idle age, in seconds: never below the age they have.
    pub retimes: Vec<(u64, f64)>,
    /// When to plan again even if nothing happens, in seconds since the Unix epoch.
    pub wake: Option<f64>,
}

/// One canary to launch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Launch {
    /// The idle age to probe it at, in seconds.
    pub age: f64,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a canary is launched for. It may serve another end once it is re-aimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Climbs the ladder while no limit is known, or visits a rung again.
    Ladder,
    /// Divides the bracket.
    Refine,
    /// Repeats a survival or a death that nothing bears out yet.
    Confirm,
    /// Looks whether a known limit is still where it was.
    Watch,
}

/// Decides what to do now. The same scene gives the same plan.
pub fn plan(scene: &Scene<'_>) -> Plan {
    let limit = limit::idle_limit(scene.history, Kind::Idle);
    let mut draft = Draft::new(scene);
    let is_sought = limit.upper.is_none() || !is_settled(&limit, scene.precision);
    if is_sought {
        breadth::keep(scene, &limit, &mut draft);
    }
    match limit.upper.filter(|&upper| is_in_reach(scene, &limit, upper)) {
        None => {
            if limit.lower_in_doubt {
                refine::aim_again(limit.below(), &mut draft);
            }
            sweep::plan(scene, limit.lower, &mut draft);
            let past_end = Some(limit.survived).filter(|&age| is_longer(age, scene.ladder.longest()));
            let past_end = past_end.filter(|&age| age <= draft.reach);
            watch::revisit_ladder(scene, None, past_end, &mut draft);
        }
        Some(upper) if is_settled(&limit, scene.precision) => {
            watch::keep_in_sight(scene, &limit, upper, &mut draft);
            watch::revisit_ladder(scene, Some(limit.lower), None, &mut draft);
        }
        Some(upper) => refine::plan(scene, &limit, upper, &mut draft),
    }
    draft.finish()
}

/// Whether canaries can look at a limit: not where it lies past the ladder's end, as those of a longer
/// ladder before do, nor where the end itself is survived.
fn is_in_reach(scene: &Scene<'_>, limit: &IdleLimit, upper: f64) -> bool {
    let longest = scene.ladder.longest();
    upper <= longest + tolerance::heard(longest) && is_longer(longest, limit.lower)
}

/// Whether the search is over for now: the limit is sharp, and as many observations bear each bound out
/// as it takes to tell it from strays, however often those come.
pub fn is_settled(limit: &IdleLimit, precision: f64) -> bool {
    let is_borne_out = limit.exact || limit.deaths >= SETTLED && limit.survivals >= SETTLED;
    limit.confirmed && limit.is_sharp(precision) && is_borne_out
}

/// How many agreeing observations settle a bound that is found by probes. Where one outcome in fifty is
/// random, two agree by chance in one search of a hundred.
const SETTLED: usize = 3;

/// Where nothing was survived, a bracket is taken to begin at this share of its upper end.
const LOWEST_SHARE: f64 = 1.0 / 32.0;

/// A plan does not ask for another one sooner than this, in seconds.
const SHORTEST_REST_SECONDS: f64 = 0.01;

/// Two ages nearer than this share are one.
const SAME_SHARE: f64 = 1e-3;

fn is_same_age(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME_SHARE * a.abs().max(b.abs())
}

/// Whether one age is longer than another by more than rounding and a timer's lateness.
fn is_longer(age: f64, than: f64) -> bool {
    age > than && !is_same_age(age, than)
}

/// A canary in flight, as the plan is made.
#[derive(Debug, Clone, Copy)]
struct Canary {
    id: u64,
    /// Its idle age now, in seconds.
    idle: f64,
    /// The age it was aimed at when the plan began, in seconds.
    aimed: f64,
    /// The age it is aimed at now, in seconds.
    target: f64,
    recalled: bool,
    /// Whether it is not to be aimed elsewhere.
    is_kept: bool,
}

impl Canary {
    /// Whether its probe is due or under way: it can be neither re-aimed nor spared.
    fn is_due(&self) -> bool {
        self.idle >= self.aimed * (1.0 - 1e-9) - 1e-6
    }
}

/// A plan in the making: keeps the budget.
#[derive(Debug)]
struct Draft {
    /// Oldest first.
    canaries: Vec<Canary>,
    launches: Vec<Launch>,
    wake: Option<f64>,
    now: f64,
    budget: usize,
    longest: f64,
    reach: f64,
}

impl Draft {
    fn new(scene: &Scene<'_>) -> Self {
        let mut canaries: Vec<Canary> = scene
            .in_flight
            .iter()
            .map(|canary| {
                let idle = scene.now - canary.born;
                let idle = if idle.is_finite() { idle.max(0.0) } else { 0.0 };
                Canary {
                    id: canary.id,
                    idle,
                    aimed: canary.age,
                    target: canary.age,
                    recalled: false,
                    is_kept: false,
                }
            })
            .collect();
        canaries.sort_by(|a, b| b.idle.total_cmp(&a.idle).then(a.id.cmp(&b.id)));
        let mut draft = Self {
            canaries,
            launches: Vec::new(),
            wake: None,
            now: scene.now,
            budget: scene.budget,
            longest: scene.ladder.longest(),
            reach: aims::reach(scene),
        };
        draft.fit_budget();
        draft
    }

    /// Recalls the youngest where the budget has shrunk below what is in flight.
    fn fit_budget(&mut self) {
        let excess = self.canaries.len().saturating_sub(self.budget);
        for canary in self.canaries.iter_mut().rev().take(excess) {
            canary.recalled = true;
        }
    }

    /// The canaries that may still be re-aimed, oldest first.
    fn free(&mut self) -> impl Iterator<Item = &mut Canary> {
        self.canaries.iter_mut().filter(|canary| !canary.recalled && !canary.is_kept && !canary.is_due())
    }

    fn in_flight(&self) -> usize {
        self.canaries.iter().filter(|canary| !canary.recalled).count() + self.launches.len()
    }

    /// How many more canaries the budget has room for.
    fn room(&self) -> usize {
        self.budget.saturating_sub(self.in_flight())
    }

    /// Whether a canary is or will be aimed at an age.
    fn is_aimed_at(&self, age: f64) -> bool {
        self.count_aimed_at(age) > 0
    }

    fn count_aimed_at(&self, age: f64) -> usize {
        let flying = self.canaries.iter().filter(|c| !c.recalled && is_same_age(c.target, age)).count();
        flying + self.launches.iter().filter(|launch| is_same_age(launch.age, age)).count()
    }

    /// Launches one canary if there is room, and says whether there was. One that searches is aimed at the ladder's end
    /// at most: a death there may be found a little late, and is looked at again there.
    fn launch(&mut self, age: f64, purpose: Purpose) -> bool {
        let is_possible = self.room() > 0 && age > 0.0;
        if is_possible {
            let most = if purpose == Purpose::Watch { self.reach } else { self.longest };
            self.launches.push(Launch { age: age.min(most), purpose });
        }
        is_possible
    }

    /// Asks for another plan at a time, in seconds since the Unix epoch.
    fn wake_at(&mut self, time: f64) {
        let time = time.max(self.now + SHORTEST_REST_SECONDS);
        self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
    }

    fn finish(self) -> Plan {
        let Self { longest, reach, .. } = self;
        // One that was launched to look past the end does so.
        let most = |canary: &Canary| if canary.aimed > longest { reach } else { longest };
        let retimes = self
            .canaries
            .iter()
            .filter(|canary| !canary.recalled && !canary.is_due())
            .map(|canary| (canary, canary.target.min(most(canary)).max(canary.idle)))
            .filter(|(canary, target)| (target - canary.aimed).abs() > 1e-6 * target.abs())
            .map(|(canary, target)| (canary.id, target))
            .collect();
        let recalls = self.canaries.iter().filter(|canary| canary.recalled).map(|canary| canary.id).collect();
        Plan { launches: self.launches, recalls, retimes, wake: self.wake }
    }
}

#[cfg(test)]
mod tests;
