//! A path in virtual time: canaries live and die by a hidden limit, and the schedule sees only outcomes.
//!
//! A survival is known at once, and so is a death that is heard; a silent one when the probe's deadline
//! has passed.

use super::domain::culprit::Culprit;
use super::domain::life::ending::Ending;
use super::domain::life::kind::Kind;
use super::domain::life::observation::{Fate, History, Observation};
use super::domain::limit::ladder::Ladder;
use super::domain::limit::{IdleLimit, idle_limit};
use super::domain::schedule::{self, InFlight, Plan, Scene};

/// When the world begins, in seconds: a time stamp of today's size, so that rounding shows.
pub(crate) const START: f64 = 1.7e9;

/// The hidden truth. Times and ages in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    /// The idle age at which sessions die; infinite for none.
    pub(crate) limit: f64,
    /// Whether a death is heard at once, or only found by the probe.
    pub(crate) audible: bool,
    /// The share of lives with a random outcome.
    pub(crate) noise: f64,
    /// How long a probe waits for its answer, in seconds.
    pub(crate) deadline: f64,
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

impl Flight {
    /// Whether its probe finds it dead.
    fn is_found_dead(&self) -> bool {
        (self.seen.born + self.seen.age >= self.dies_at) != self.is_odd
    }
}

/// A world and the schedule in it.
pub(crate) struct World<'a> {
    /// The time now, in seconds.
    pub(crate) now: f64,
    /// What was seen so far.
    pub(crate) history: History,
    /// Logins so far.
    pub(crate) logins: usize,
    /// The most canaries in flight at any moment so far.
    pub(crate) peak: usize,
    /// Seconds that connections were held so far.
    pub(crate) held: f64,
    /// How many canaries may be in flight.
    pub(crate) budget: usize,
    truth: Truth,
    ladder: &'a Ladder,
    common_timeouts: &'a [f64],
    precision: f64,
    flights: Vec<Flight>,
    wake: Option<f64>,
    random: Random,
    next_id: u64,
}

impl<'a> World<'a> {
    /// A world in which nothing has happened yet.
    pub(crate) fn new(
        truth: Truth,
        budget: usize,
        ladder: &'a Ladder,
        common_timeouts: &'a [f64],
        seed: u64,
    ) -> Self {
        let mut world = Self {
            now: START,
            history: History::default(),
            logins: 0,
            peak: 0,
            held: 0.0,
            budget,
            truth,
            ladder,
            common_timeouts,
            precision: 0.01,
            flights: Vec::new(),
            wake: None,
            random: Random::new(seed),
            next_id: 0,
        };
        world.replan();
        world
    }

    /// What the path's observations say now.
    pub(crate) fn limit(&self) -> IdleLimit {
        idle_limit(&self.history, Kind::Idle)
    }

    /// Makes the limit another one, for sessions that are idle already too.
    pub(crate) fn move_limit(&mut self, limit: f64) {
        self.truth.limit = limit;
        for flight in self.flights.iter_mut().filter(|flight| flight.dies_at > self.now) {
            flight.dies_at = self.now.max(flight.seen.born + limit);
        }
    }

    /// Lets the next thing happen, and says whether there was one before `until`.
    pub(crate) fn step(&mut self, until: f64) -> bool {
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
        if self.truth.audible {
            probe.min(flight.dies_at)
        } else if flight.is_found_dead() {
            probe + self.truth.deadline
        } else {
            probe
        }
    }

    fn outcome(&self, flight: Flight) -> Observation {
        let heard = self.now - flight.seen.born;
        let age = if self.truth.audible { heard } else { heard.min(flight.seen.age) };
        let is_dead = if self.truth.audible { self.now >= flight.dies_at } else { flight.is_found_dead() };
        let ending = if self.truth.audible { Ending::Fin } else { Ending::Silence };
        let died = Fate::Died {
            ending,
            exact: self.truth.audible,
            culprit: Culprit::Unknown,
            recurs: false,
            killed: None,
        };
        let fate = if is_dead { died } else { Fate::Lived };
        Observation { at: self.now, kind: Kind::Idle, age, fate, server: None }
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
            common_timeouts: self.common_timeouts,
            hurried: false,
        };
        let plan = schedule::plan(&scene);
        self.apply(plan);
    }

    fn apply(&mut self, plan: Plan) {
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
            dies_at = if is_killed {
                born + age.min(self.truth.limit) * self.random.share()
            } else {
                f64::INFINITY
            };
        }
        self.flights.push(Flight { seen: InFlight { id: self.next_id, age, born }, dies_at, is_odd });
        self.next_id += 1;
        self.logins += 1;
    }
}

/// How a moved limit was followed. Times in units of the longer of both limits, from the move on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    /// When the old bracket was reported last.
    pub(crate) noticed: f64,
    /// From when on every bracket reported held the new limit.
    pub(crate) bracketed: f64,
    /// When the new limit was settled.
    pub(crate) settled: f64,
}

/// Moves the limit to another one, and watches how it is followed for `patience` times the longer one.
pub(crate) fn follow(world: &mut World<'_>, limit: f64, patience: f64) -> Move {
    let old = world.truth.limit;
    let unit = old.max(limit);
    let start = world.now;
    world.move_limit(limit);
    let mut seen = Move { noticed: 0.0, bracketed: 0.0, settled: f64::INFINITY };
    loop {
        let reported = world.limit();
        let holds = |limit: f64| {
            reported.lower < limit && reported.upper.is_none_or(|upper| limit <= upper * (1.0 + 1e-6))
        };
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
        if holds(limit) && schedule::is_settled(&reported, world.precision) {
            seen.settled = seen.settled.min(time);
        }
        if !went_on {
            return seen;
        }
    }
}

/// How one search went. Times in units of the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    /// When the bracket was sharp first.
    pub(crate) sharp: Found,
    /// When two deaths and two survivals bore it out.
    pub(crate) confirmed: Found,
    /// When the schedule was content with it.
    pub(crate) settled: Found,
    /// Logins until then.
    pub(crate) logins: usize,
}

/// One stage of a search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// The time it took, in units of the limit.
    pub(crate) time: f64,
    /// Connections times seconds, over the limit.
    pub(crate) held: f64,
    /// Whether the bracket held the true limit then.
    pub(crate) is_right: bool,
}

/// Runs one search until the limit is settled, or for `patience` times the limit.
pub(crate) fn search(world: &mut World<'_>, patience: f64) -> Search {
    let truth = world.truth.limit;
    let until = START + patience * truth;
    let mut stages: [Option<Found>; 3] = [None; 3];
    loop {
        let went_on = world.step(until);
        let limit = world.limit();
        let is_sharp = limit.is_sharp(world.precision);
        let reached = [is_sharp, is_sharp && limit.confirmed, schedule::is_settled(&limit, world.precision)];
        // Time stamps of today's size are rounded to a quarter of a microsecond.
        let near = 1.0 + 1e-6;
        let is_right = limit.lower < truth * near && limit.upper.is_some_and(|upper| truth <= upper * near);
        let found = Found { time: (world.now - START) / truth, held: world.held / truth, is_right };
        for (stage, _) in
            stages.iter_mut().zip(reached).filter(|(stage, is_reached)| *is_reached && stage.is_none())
        {
            *stage = Some(found);
        }
        if let [sharp, confirmed, Some(settled)] = stages {
            let (sharp, confirmed) = (sharp.unwrap_or(settled), confirmed.unwrap_or(settled));
            return Search { sharp, confirmed, settled, logins: world.logins };
        }
        if !went_on {
            let [sharp, confirmed, settled] =
                stages.map(|stage| stage.unwrap_or(Found { is_right: false, ..found }));
            return Search { sharp, confirmed, settled, logins: world.logins };
        }
    }
}

/// A small generator of pseudo-random numbers (splitmix64): the same seed gives the same run.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator whose numbers follow from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from zero to below one.
    pub(crate) fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
