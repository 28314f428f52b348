//! The prober: one loop a path. It waits for one event of a closed set, applies it without awaiting,
//! plans anew, and launches, re-aims and recalls canaries as the plan says.

pub mod canary;
mod clock;
pub mod life;
pub mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::domain::companions::same_age;
use crate::domain::culprit::{Conclusion, Evidence, Twins, conclude};
use crate::domain::kind::Kind;
use crate::domain::ladder::Ladder;
use crate::domain::limit::idle_limit;
use crate::domain::observation::{Fate, History, Observation};
use crate::domain::schedule::{InFlight, Launch, Scene, plan};
use crate::domain::suspension::Suspension;
use crate::domain::void::VoidReason;
use crate::metrics::{PathMetrics, PathReport};
use crate::session::Stage;
use crate::stop::Stop;
use life::{Assignment, Born, Death, Leash, Orders, Outcome, Unborn, World};

/// How long canaries may take to say COM_QUIT when the exporter stops.
const FAREWELL: Duration = Duration::from_millis(1200);
/// How soon a launch is tried again after one that did not come to be, in seconds, where nothing says
/// otherwise.
const RETRY_SECONDS: f64 = 0.5;

/// What one path is probed with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The target's configured name.
    pub target: String,
    /// The path's configured name.
    pub path: String,
    /// The idle ages asked for.
    pub ladder: Ladder,
    /// How sharp the bracket is wanted, as a share.
    pub precision: f64,
    /// How many canaries at most.
    pub canaries: usize,
    /// Well-known default timeouts, in rising order, in seconds.
    pub landmarks: Vec<f64>,
}

/// What the rest of the exporter tells a path's loop.
#[derive(Debug, Clone)]
pub struct Wires {
    /// Whether the server has too little room for canaries.
    pub low_headroom: watch::Receiver<bool>,
    /// Whether to stop.
    pub stop: Stop,
}

/// The loop of one path.
#[derive(Debug)]
pub struct Prober<W> {
    world: W,
    settings: Settings,
    metrics: PathMetrics,
    publish: watch::Sender<PathReport>,
    history: History,
    flights: BTreeMap<u64, Flight>,
    lives: JoinSet<Outcome>,
    ids: BTreeMap<Id, u64>,
    next_id: u64,
    born: (mpsc::UnboundedSender<Born>, mpsc::UnboundedReceiver<Born>),
    suspended: BTreeSet<Suspension>,
    retry_at: Option<Instant>,
    wake: Option<Instant>,
    epoch: Epoch,
}

#[derive(Debug)]
struct Flight {
    kind: Kind,
    age: f64,
    /// When it began to be idle; `None` while it still connects.
    born: Option<Instant>,
    orders: watch::Sender<Orders>,
}

/// Everything that can happen to the loop.
#[derive(Debug)]
enum Event {
    Born(Born),
    Ended(Id, Outcome),
    Lost(JoinError),
    Headroom,
    Wake,
    Stop,
}

/// Ties the runtime's clock to the calendar.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    instant: Instant,
    unix: f64,
}

impl Epoch {
    fn unix(&self, at: Instant) -> f64 {
        self.unix + at.saturating_duration_since(self.instant).as_secs_f64()
    }

    fn instant(&self, unix: f64) -> Instant {
        /// Beyond this nothing is planned, in seconds.
        const FAR: f64 = 1e9;
        self.instant + Duration::from_secs_f64((unix - self.unix).clamp(0.0, FAR))
    }
}

impl<W: World> Prober<W> {
    /// A loop that has seen `history` before. `unix_now` is the time now, in seconds since the Unix epoch.
    pub fn new(
        world: W,
        settings: Settings,
        metrics: PathMetrics,
        publish: watch::Sender<PathReport>,
        history: History,
        unix_now: f64,
    ) -> Self {
        Self {
            world,
            settings,
            metrics,
            publish,
            history,
            flights: BTreeMap::new(),
            lives: JoinSet::new(),
            ids: BTreeMap::new(),
            next_id: 0,
            born: mpsc::unbounded_channel(),
            suspended: BTreeSet::new(),
            retry_at: None,
            wake: None,
            epoch: Epoch { instant: Instant::now(), unix: unix_now },
        }
    }

    /// Runs until told to stop, then lets every canary say COM_QUIT. Gives what was observed.
    pub async fn run(mut self, mut wires: Wires) -> History {
        self.set_headroom(*wires.low_headroom.borrow_and_update());
        self.replan();
        loop {
            let event = self.select(&mut wires).await;
            if matches!(event, Event::Stop) {
                break;
            }
            self.apply(event, &wires);
            self.replan();
        }
        self.stop().await;
        self.history
    }

    async fn select(&mut self, wires: &mut Wires) -> Event {
        let wake = [self.wake, self.retry_at].into_iter().flatten().min();
        tokio::select! {
            biased;
            () = wires.stop.told() => Event::Stop,
            Some(born) = self.born.1.recv() => Event::Born(born),
            Some(ended) = self.lives.join_next_with_id() => match ended {
                Ok((id, outcome)) => Event::Ended(id, outcome),
                Err(error) => Event::Lost(error),
            },
            Ok(()) = wires.low_headroom.changed() => Event::Headroom,
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Event::Wake,
            else => std::future::pending().await,
        }
    }

    fn apply(&mut self, event: Event, wires: &Wires) {
        match event {
            Event::Born(Born { id, at }) => {
                if let Some(flight) = self.flights.get_mut(&id) {
                    flight.born = Some(at);
                    self.count_connections();
                }
                self.suspend(Suspension::ConnectFailing, false);
                self.suspend(Suspension::ConnectionLimit, false);
                self.retry_at = None;
            }
            Event::Ended(task, outcome) => {
                if let Some((_, flight)) = self.land(task) {
                    self.settle(flight.kind, outcome);
                }
            }
            Event::Lost(error) => {
                // A life that panicked is a fault of ours: told, and no outcome.
                tracing::error!(event = "life_lost", error = %error, "a canary's task ended without an outcome");
                self.land(error.id());
            }
            Event::Headroom => self.set_headroom(*wires.low_headroom.borrow()),
            Event::Wake | Event::Stop => {}
        }
    }

    fn land(&mut self, task: Id) -> Option<(u64, Flight)> {
        let id = self.ids.remove(&task)?;
        let flight = self.flights.remove(&id)?;
        self.count_connections();
        Some((id, flight))
    }

    /// Counts one outcome: the only place where lives are counted.
    fn settle(&mut self, kind: Kind, outcome: Outcome) {
        match outcome {
            Outcome::Survived { age } => {
                self.metrics.survived(kind, age);
                self.observe(kind, age, Fate::Lived);
                tracing::debug!(
                    event = "survival",
                    target_name = self.settings.target,
                    path = self.settings.path,
                    kind = kind.label(),
                    age_seconds = rounded(age),
                    "canary survived its idle age"
                );
            }
            Outcome::Died(death) => self.settle_death(kind, &death),
            Outcome::Void(reason) => {
                self.metrics.voided(reason);
                if reason != VoidReason::Shutdown {
                    tracing::info!(
                        event = "void",
                        target_name = self.settings.target,
                        path = self.settings.path,
                        kind = kind.label(),
                        reason = reason.label(),
                        "canary's end says nothing and is not counted"
                    );
                }
                if reason == VoidReason::Outage {
                    self.rest(RETRY_SECONDS);
                }
            }
            Outcome::Unborn(Unborn::HeldBack(seconds)) => {
                self.suspend(
                    Suspension::ConnectFailing,
                    !self.suspended.contains(&Suspension::ConnectionLimit),
                );
                self.rest(seconds);
            }
            Outcome::Unborn(Unborn::Failed(stage)) => {
                let reason = if stage == Stage::Limit {
                    Suspension::ConnectionLimit
                } else {
                    Suspension::ConnectFailing
                };
                self.suspend(reason, true);
                self.rest(RETRY_SECONDS);
            }
            Outcome::Unborn(Unborn::Broken) => self.rest(RETRY_SECONDS),
            Outcome::Unborn(Unborn::Stopped) | Outcome::Recalled => {}
        }
    }

    fn settle_death(&mut self, kind: Kind, death: &Death) {
        let now = self.epoch.unix(Instant::now());
        let evidence = Evidence {
            kind,
            ending: death.ending,
            age: death.age,
            exact: death.exact,
            error_code: death.error_code,
            wait_timeout: death.wait_timeout,
            row: death.row,
            restarted: death.restarted,
            proxy_seen: death.proxy_seen,
            same_age: same_age(&self.history, death.age, now),
            twins: Twins::default(),
        };
        let Conclusion { culprit, rule } = conclude(&evidence);
        self.metrics.died(kind, death.ending, culprit, death.age);
        if let Some(seconds) = death.stall {
            self.metrics.stalled(seconds);
        }
        self.observe(kind, death.age, Fate::Died { ending: death.ending, exact: death.exact, culprit });
        tracing::warn!(
            event = "death",
            target_name = self.settings.target,
            path = self.settings.path,
            kind = kind.label(),
            age_seconds = rounded(death.age),
            ending = death.ending.label(),
            error_code = death.error_code,
            culprit = culprit.label(),
            layer = culprit.layer().label(),
            rule = rule,
            thread_id = death.thread_id,
            stall_seconds = death.stall.map(rounded),
            wait_timeout_seconds = death.wait_timeout,
            server_uptime_seconds = death.uptime,
            "canary died"
        );
    }

    fn observe(&mut self, kind: Kind, age: f64, fate: Fate) {
        let at = self.epoch.unix(Instant::now());
        self.history.push(Observation { at, kind, age, fate });
        self.report();
    }

    /// Publishes what is known of the path now.
    fn report(&self) {
        let limits = Kind::ALL.map(|kind| (kind, idle_limit(&self.history, kind)));
        self.publish.send_replace(PathReport::new(&self.history, limits));
    }

    /// Asks the schedule, and does what it says.
    fn replan(&mut self) {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        let (held, leaving): (Vec<_>, Vec<_>) =
            self.flights.iter().partition(|(_, flight)| flight.orders.borrow().leash == Leash::Hold);
        let in_flight: Vec<InFlight> = held
            .iter()
            .map(|(id, flight)| InFlight {
                id: **id,
                age: flight.age,
                born: self.epoch.unix(flight.born.unwrap_or(now)),
            })
            .collect();
        let scene = Scene {
            now: self.epoch.unix(now),
            ladder: &self.settings.ladder,
            precision: self.settings.precision,
            budget: self.settings.canaries.saturating_sub(leaving.len()),
            history: &self.history,
            in_flight: &in_flight,
            landmarks: &self.settings.landmarks,
        };
        let plan = plan(&scene);
        self.wake = plan.wake.map(|unix| self.epoch.instant(unix).max(now + Duration::from_millis(10)));
        for id in plan.recalls {
            self.order(id, |orders| orders.leash = Leash::Recall);
        }
        for (id, age) in plan.retimes {
            self.order(id, |orders| orders.age = age);
            if let Some(flight) = self.flights.get_mut(&id) {
                flight.age = age;
            }
        }
        if self.retry_at.is_some() || self.suspended.contains(&Suspension::LowHeadroom) {
            return;
        }
        // While connecting fails, one canary feels its way.
        let most = if self.suspended.is_empty() { plan.launches.len() } else { 1 };
        for launch in plan.launches.into_iter().take(most) {
            self.launch(Kind::Idle, launch);
        }
    }

    fn order(&self, id: u64, change: impl FnOnce(&mut Orders)) {
        if let Some(flight) = self.flights.get(&id) {
            flight.orders.send_modify(change);
        }
    }

    fn launch(&mut self, kind: Kind, Launch { age, .. }: Launch) {
        /// The most a launch is spread, in seconds, and as a share of its age.
        const SPREAD: (f64, f64) = (2.0, 0.1);
        self.next_id += 1;
        let id = self.next_id;
        let (orders, receiver) = watch::channel(Orders { age, leash: Leash::Hold });
        let assignment = Assignment {
            id,
            kind,
            delay: fastrand::f64() * SPREAD.0.min(age * SPREAD.1),
            longest: self.longest_aim(age),
            orders: receiver,
            born: self.born.0.clone(),
        };
        let handle = self.lives.spawn(self.world.live(assignment));
        self.ids.insert(handle.id(), id);
        self.flights.insert(id, Flight { kind, age, born: None, orders });
    }

    /// The longest age a canary launched for `age` may be re-aimed at, in seconds.
    fn longest_aim(&self, age: f64) -> f64 {
        let limit = idle_limit(&self.history, Kind::Idle);
        let longest = self.settings.ladder.longest();
        limit.upper.map_or(longest, |upper| (2.0 * upper).min(longest)).max(age)
    }

    fn rest(&mut self, seconds: f64) {
        let at = Instant::now() + Duration::from_secs_f64(seconds.clamp(0.05, 60.0));
        self.retry_at = Some(self.retry_at.map_or(at, |retry| retry.max(at)));
    }

    fn suspend(&mut self, reason: Suspension, suspended: bool) {
        let changed = if suspended { self.suspended.insert(reason) } else { self.suspended.remove(&reason) };
        if changed {
            self.metrics.set_suspended(reason, suspended);
            tracing::info!(
                event = "suspension",
                target_name = self.settings.target,
                path = self.settings.path,
                reason = reason.label(),
                suspended,
                "launches are {}",
                if suspended { "suspended" } else { "resumed" }
            );
        }
    }

    fn set_headroom(&mut self, low: bool) {
        self.suspend(Suspension::LowHeadroom, low);
    }

    fn count_connections(&self) {
        for kind in Kind::ALL {
            let held =
                self.flights.values().filter(|flight| flight.kind == kind && flight.born.is_some()).count();
            self.metrics.set_connections(kind, held);
        }
    }

    async fn stop(&mut self) {
        for flight in self.flights.values() {
            flight.orders.send_modify(|orders| orders.leash = Leash::Stop);
        }
        let deadline = Instant::now() + FAREWELL;
        while let Ok(Some(ended)) = timeout_at(deadline, self.lives.join_next_with_id()).await {
            if let Ok((task, outcome)) = ended
                && let Some((_, flight)) = self.land(task)
            {
                self.settle(flight.kind, outcome);
            }
        }
    }
}

/// Milliseconds are as fine as an event line needs.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
