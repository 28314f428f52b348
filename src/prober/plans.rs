//! What the loop does next: it asks the schedule and the twins, and launches, re-aims and recalls canaries.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::flights::{Flight, Launch};
use super::life::{Directive, World};
use super::{Prober, RETRY_SECONDS};
use crate::domain::conduct::suspension::Suspension;
use crate::domain::culprit::twins;
use crate::domain::life::kind::Kind;
use crate::domain::life::stage::Stage;
use crate::domain::limit::{IdleLimit, idle_limit};
use crate::domain::schedule::{InFlight, Plan, Scene, plan};

/// The shortest pause between two launches of one kind of twin, in seconds.
const TWIN_REST_SECONDS: f64 = 5.0;

impl<W: World> Prober<W> {
    /// Asks the schedule, and does what it says.
    pub(super) fn replan(&mut self) {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        let idle = idle_limit(&self.history, Kind::Idle);
        let twins = self.plan_twins(idle);
        self.aim_early_twins(&self.limit_for_twins(idle));
        let early = self.plan_early_twins(&idle);
        let plan = self.plan_idle(now, twins.len() + early.len());
        let deadline = self.undecided.next_deadline(self.epoch.unix(now));
        let wakes = [plan.wake, deadline].into_iter().flatten().map(|unix| self.epoch.instant(unix));
        self.wake = wakes.min().map(|wake| wake.max(now + Duration::from_millis(10)));
        if self.undecided.awaits_twins() {
            // Somebody may pass the age of a waiting death any moment.
            let soon = now + Duration::from_millis(500);
            self.wake = Some(self.wake.map_or(soon, |wake| wake.min(soon)));
        }
        for id in plan.recalls {
            self.flights.call(id, Directive::Recall);
        }
        for (id, age) in plan.retimes {
            self.flights.aim(id, age);
        }
        self.watch_the_dead();
        if self.retry_at.is_some() || self.suspended.contains(&Suspension::LowHeadroom) {
            return;
        }
        let most = self.launches_allowed();
        if twins.len() + plan.launches.len() + early.len() > most {
            // Ghosts are ended by others, and nothing tells this loop when.
            let soon = now + Duration::from_secs_f64(RETRY_SECONDS);
            self.wake = Some(self.wake.map_or(soon, |wake| wake.min(soon)));
        }
        let idles = plan.launches.iter().map(|launch| (Kind::Idle, launch.age));
        let launches = twins.into_iter().chain(idles).map(|(kind, age)| {
            let longest = self.longest_aim(age, &idle);
            Launch { kind, age, longest, early: false, spread: self.spread(kind, age, &idle) }
        });
        let launches: Vec<Launch> = launches.chain(early).take(most).collect();
        for launch in launches {
            if launch.kind != Kind::Idle {
                self.twins_sent.insert(launch.kind, self.epoch.now());
            }
            self.flights.launch(&self.world, launch);
            self.launched += 1;
        }
    }

    /// How long a launch may be put off at most, in seconds. Who looks seldom ends one after the other at one age where each is
    /// launched as soon as the one before it died: they are spread over all ages that it may strike at.
    fn spread(&self, kind: Kind, age: f64, idle: &IdleLimit) -> f64 {
        /// The most that others are spread, in seconds, and as a share of their age.
        const SPREAD: (f64, f64) = (2.0, 0.1);
        let band = idle.upper.zip(idle.spread_to).map(|(from, to)| (from, to - from));
        match band {
            _ if self.settings.hurried => 0.0,
            Some((from, width)) if kind == Kind::Idle && age >= from => {
                width.max(SPREAD.0.min(age * SPREAD.1))
            }
            Some(_) | None => SPREAD.0.min(age * SPREAD.1),
        }
    }

    /// How many canaries may be launched now: those that say COM_QUIT, and those that the server may
    /// still hold, count against the budget too. While connecting fails, one canary feels its way.
    fn launches_allowed(&self) -> usize {
        let unborn = self.flights.iter().filter(|(_, flight)| flight.born.is_none()).count();
        let room = self.settings.canaries.saturating_sub(self.flights.len());
        let room =
            room.min(self.world.room().saturating_sub(unborn)).min(self.headroom.launches(self.launched));
        match self.suspended.is_empty() {
            true => room,
            false => room.min(usize::from(unborn == 0)),
        }
    }

    /// Gives a place of the canaries' up to the witness or the server view, which lack one: the canary goes that
    /// has the longest way before it. One at a time, for each needs a moment to go. One that is dying keeps its place until
    /// the witness has looked for it.
    pub(super) fn make_room(&mut self) {
        let going = self.flights.iter().any(|(_, flight)| !flight.is_held());
        if !going {
            self.recall_longest(1);
        }
    }

    /// Calls so many canaries home: those that have the longest way before them; twins that were sent out early, which
    /// wait for what something's death will ask of them, last.
    pub(super) fn recall_longest(&mut self, count: usize) {
        let left = |flight: &Flight| {
            let born = flight.born.map_or_else(|| self.epoch.now(), |born| self.epoch.unix(born));
            born + flight.age
        };
        let mut well: Vec<(u64, (bool, f64))> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.is_well())
            .map(|(id, flight)| (id, (!flight.early, left(flight))))
            .collect();
        well.sort_by(|(_, a), (_, b)| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        for (id, _) in well.into_iter().take(count) {
            self.flights.call(id, Directive::Recall);
        }
    }

    /// Calls home whoever is still on the way: it was launched when there was room.
    pub(super) fn recall_unborn(&mut self) {
        let unborn = self.flights.iter().filter(|(_, flight)| flight.born.is_none()).map(|(id, _)| id);
        for id in unborn.collect::<Vec<_>>() {
            self.flights.call(id, Directive::Recall);
        }
    }

    /// Suspends launches for a connect that failed at this stage. One that is put off would be the one that feels its way.
    pub(super) fn suspend_after(&mut self, stage: Stage) {
        self.recall_unborn();
        self.suspend(Suspension::ConnectionLimit, stage == Stage::Limit);
        self.suspend(Suspension::ConnectFailing, stage != Stage::Limit);
    }

    /// Says so when the dead take the places of all canaries.
    fn watch_the_dead(&mut self) {
        let haunted = self.world.room() == 0 && self.world.haunting() >= self.settings.canaries;
        self.suspend(Suspension::Ghosts, haunted);
    }

    /// The limit that twins are sent out for: that of the newest death which waits for them, or the one that stands.
    fn limit_for_twins(&self, idle: IdleLimit) -> IdleLimit {
        self.undecided.awaited(&self.history, &idle).unwrap_or(idle)
    }

    /// The twins to launch now.
    fn plan_twins(&self, idle: IdleLimit) -> Vec<(Kind, f64)> {
        let limit = self.limit_for_twins(idle);
        let Some(age) = limit.upper else { return Vec::new() };
        let in_flight: Vec<Kind> = self.flights.iter().map(|(_, flight)| flight.kind).collect();
        let others = in_flight.iter().filter(|kind| **kind != Kind::Idle).count();
        let room = self.settings.canaries.saturating_sub(others + 1);
        let now = self.epoch.now();
        let mut twins = twins::plan(&self.history, &limit, &in_flight, now);
        // One that came home without an outcome is not sent out again at once.
        let rest = TWIN_REST_SECONDS.max(age);
        twins.retain(|(kind, _)| self.twins_sent.get(kind).is_none_or(|sent| now - sent >= rest));
        // One of each kind, and more of a kind while half of the places stay with those that are idle.
        let kinds = twins.iter().map(|(kind, _)| *kind).collect::<BTreeSet<_>>().len();
        let half = (self.settings.canaries / 2).saturating_sub(others);
        twins.truncate(room.min(half.max(kinds)));
        twins
    }

    /// What the schedule says of the idle canaries, when so many twins are to be launched.
    fn plan_idle(&self, now: Instant, twins: usize) -> Plan {
        let mut in_flight = Vec::new();
        let mut others = twins;
        for (id, flight) in self.flights.iter() {
            if flight.kind == Kind::Idle && flight.is_held() && !flight.has_died_early(now) {
                let born = self.epoch.unix(flight.born.unwrap_or(now));
                in_flight.push(InFlight { id, age: flight.age, born });
            } else {
                others += 1;
            }
        }
        plan(&Scene {
            now: self.epoch.unix(now),
            ladder: &self.settings.ladder,
            precision: self.settings.precision,
            budget: self.settings.canaries.saturating_sub(others),
            history: &self.history,
            in_flight: &in_flight,
            common_timeouts: &self.settings.common_timeouts,
            hurried: self.settings.hurried,
        })
    }

    /// The longest age a canary launched for `age` may be re-aimed at, in seconds.
    fn longest_aim(&self, age: f64, idle: &IdleLimit) -> f64 {
        let longest = self.settings.ladder.longest();
        idle.upper.map_or(longest, |upper| (2.0 * upper).min(longest)).max(age)
    }
}
