//! A path in virtual time: canaries live and die by a hidden limit, and the schedule sees only outcomes.
//!
//! An outcome is known at once: what a silent death costs in waiting for the probe's deadline is left out.

use super::domain::culprit::Culprit;
use super::domain::ending::Ending;
use super::domain::kind::Kind;
use super::domain::ladder::Ladder;
use super::domain::limit::{IdleLimit, idle_limit};
use super::domain::observation::{Fate, History, Observation};
use super::domain::schedule::{self, InFlight, Plan, Scene};

/// When the world begins, in seconds: a time stamp of today's size, so that rounding shows.
pub const START: f64 = 1.7e9;

/// The hidden truth. Times and ages in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// The idle age at which sessions die; infinite for none.
    pub limit: f64,
    /// Whether a death is heard at once, or only found by the probe.
    pub audible: bool,
    /// The share of lives with a random outcome.
    pub noise: f64,
}

/// One canary in the world.
#[derive(Debug, Clone, Copy)]
struct Flight {
    seen: InFlight,
    /// When the other side ends it without a sound or with one.
    dies_at: f64,
    /// Whether the outcome of its probe is turned round.
    is_odd: bool,
}

/// A world and the schedule in it.
pub struct World<'a> {
    /// The time now, in seconds.
    pub now: f64,
    /// What was seen so far.
    pub history: History,
    /// Logins so far.
    pub logins: usize,
    /// The most canaries in flight at any moment so far.
    pub peak: usize,
    /// Seconds that connections were held so far.
    pub held: f64,
    /// How many canaries may be in flight.
    pub budget: usize,
    truth: Truth,
    ladder: &'a Ladder,
    landmarks: &'a [f64],
    precision: f64,
    flights: Vec<Flight>,
    wake: Option<f64>,
    random: Random,
    next_id: u64,
    /// Whether every change is printed.
    pub verbose: bool,
}

impl<'a> World<'a> {
    /// A world in which nothing has happened yet.
    pub fn new(truth: Truth, budget: usize, ladder: &'a Ladder, landmarks: &'a [f64], seed: u64) -> Self {
        let mut world = Self {
            now: START,
            history: History::default(),
            logins: 0,
            peak: 0,
            held: 0.0,
            budget,
            truth,
            ladder,
            landmarks,
            precision: 0.01,
            flights: Vec::new(),
            wake: None,
            random: Random::new(seed),
            next_id: 0,
            verbose: false,
        };
        world.replan();
        world
    }

    /// What the path's observations say now.
    pub fn limit(&self) -> IdleLimit {
        idle_limit(&self.history, Kind::Idle)
    }

    /// Makes the limit another one, for sessions that are idle already too.
    pub fn move_limit(&mut self, limit: f64) {
        self.truth.limit = limit;
        for flight in self.flights.iter_mut().filter(|flight| flight.dies_at > self.now) {
            flight.dies_at = self.now.max(flight.seen.born + limit);
        }
    }

    /// Lets the next thing happen, and says whether there was one before `until`.
    pub fn step(&mut self, until: f64) -> bool {
        let next = (0..self.flights.len())
            .map(|place| (self.ends_at(place), place))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let wake = self.wake.unwrap_or(f64::INFINITY);
        let end = next.map_or(f64::INFINITY, |(time, _)| time);
        let time = end.min(wake).max(self.now);
        if time > until || time == f64::INFINITY {
            self.hold_until(until);
            return false;
        }
        self.hold_until(time);
        if let Some((at, place)) = next
            && at <= time
        {
            let flight = self.flights.swap_remove(place);
            let observation = self.outcome(flight);
            if self.verbose {
                println!("{:10.1} seen {:9.2} {:?}", self.now - START, observation.age, observation.fate);
            }
            self.history.push(observation);
        }
        self.replan();
        true
    }

    fn hold_until(&mut self, time: f64) {
        self.held += (time - self.now) * self.flights.len() as f64;
        self.now = time;
    }

    fn ends_at(&self, place: usize) -> f64 {
        let flight = &self.flights[place];
        let probe = flight.seen.born + flight.seen.age;
        if self.truth.audible { probe.min(flight.dies_at) } else { probe }
    }

    fn outcome(&self, flight: Flight) -> Observation {
        let age = self.now - flight.seen.born;
        let is_dead = self.now >= flight.dies_at;
        let ending = if self.truth.audible { Ending::Fin } else { Ending::Silence };
        let died = Fate::Died { ending, exact: self.truth.audible, culprit: Culprit::Unknown };
        let fate = if is_dead != (flight.is_odd && !self.truth.audible) { died } else { Fate::Lived };
        Observation { at: self.now, kind: Kind::Idle, age, fate }
    }

    fn replan(&mut self) {
        let seen: Vec<InFlight> = self.flights.iter().map(|flight| flight.seen).collect();
        let scene = Scene {
            now: self.now,
            ladder: self.ladder,
            precision: self.precision,
            budget: self.budget,
            history: &self.history,
            in_flight: &seen,
            landmarks: self.landmarks,
        };
        let plan = schedule::plan(&scene);
        self.apply(plan);
    }

    fn apply(&mut self, plan: Plan) {
        if self.verbose && plan != Plan::default() {
            let limit = self.limit();
            println!("{:10.1} [{:.1} {:.1?}] n={} {:.1?}", self.now - START, limit.lower, limit.upper, self.flights.len(), plan);
        }
        self.flights.retain(|flight| !plan.recalls.contains(&flight.seen.id));
        for (id, age) in plan.retimes {
            if let Some(flight) = self.flights.iter_mut().find(|flight| flight.seen.id == id) {
                assert!(age >= self.now - flight.seen.born - 1e-6, "a canary cannot be probed in its past");
                flight.seen.age = age;
            }
        }
        for launch in plan.launches {
            self.launch(launch.age);
        }
        self.peak = self.peak.max(self.flights.len());
        self.wake = plan.wake;
    }

    fn launch(&mut self, age: f64) {
        let born = self.now;
        let is_odd = self.random.share() < self.truth.noise;
        let mut dies_at = born + self.truth.limit;
        if is_odd && self.truth.audible {
            let is_killed = self.random.share() < 0.5;
            dies_at = if is_killed { born + age.min(self.truth.limit) * self.random.share() } else { f64::INFINITY };
        }
        self.flights.push(Flight { seen: InFlight { id: self.next_id, age, born }, dies_at, is_odd });
        self.next_id += 1;
        self.logins += 1;
    }
}

/// How a moved limit was followed. Times in units of the longer of both limits, from the move on.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// When the old bracket was reported last.
    pub noticed: f64,
    /// From when on every bracket reported held the new limit.
    pub bracketed: f64,
    /// When the new limit was located: sharp and confirmed.
    pub located: f64,
}

/// Moves the limit to another one, and watches how it is followed for `patience` times the longer one.
pub fn follow(world: &mut World<'_>, limit: f64, patience: f64) -> Move {
    let old = world.truth.limit;
    let unit = old.max(limit);
    let start = world.now;
    world.move_limit(limit);
    let mut seen = Move { noticed: 0.0, bracketed: 0.0, located: f64::INFINITY };
    loop {
        let reported = world.limit();
        let holds = |limit: f64| reported.lower < limit && reported.upper.is_none_or(|upper| limit <= upper * (1.0 + 1e-6));
        let time = (world.now - start) / unit;
        let went_on = world.step(start + patience * unit);
        // What is reported holds until the next thing happens.
        let until = (world.now - start) / unit;
        if holds(old) && !holds(limit) {
            seen.noticed = until;
        }
        if !holds(limit) {
            seen.bracketed = until;
        }
        if holds(limit) && schedule::is_located(&reported, world.precision) {
            seen.located = seen.located.min(time);
        }
        if !went_on {
            return seen;
        }
    }
}

/// How one search went. Times in units of the limit.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// When the bracket was sharp first.
    pub sharp: f64,
    /// When it was sharp and confirmed.
    pub located: f64,
    /// Connections times seconds until `sharp`, over the limit.
    pub held: f64,
    /// The same until `located`.
    pub held_located: f64,
    /// Logins until `located`.
    pub logins: usize,
    /// Whether the bracket that was confirmed holds the true limit.
    pub is_right: bool,
}

/// Runs one search until the limit is located, or for `patience` times the limit.
pub fn search(world: &mut World<'_>, patience: f64) -> Search {
    let truth = world.truth.limit;
    let until = START + patience * truth;
    let mut sharp = None;
    while world.step(until) {
        let limit = world.limit();
        let time = (world.now - START) / truth;
        if sharp.is_none() && limit.is_sharp(world.precision) {
            sharp = Some((time, world.held / truth));
        }
        if schedule::is_located(&limit, world.precision) {
            let (sharp, held) = sharp.unwrap_or((time, world.held / truth));
            // Time stamps of today's size are rounded to a quarter of a microsecond.
            let near = 1.0 + 1e-6;
            let is_right = limit.lower < truth * near && limit.upper.is_some_and(|upper| truth <= upper * near);
            let held_located = world.held / truth;
            return Search { sharp, located: time, held, held_located, logins: world.logins, is_right };
        }
    }
    let (sharp, held) = sharp.unwrap_or((patience, patience));
    let held_located = world.held / truth;
    Search { sharp, located: patience, held, held_located, logins: world.logins, is_right: false }
}

/// A small generator of pseudo-random numbers (splitmix64): the same seed gives the same run.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator whose numbers follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from zero to below one.
    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
