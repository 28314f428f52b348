//! The prober: one loop a path. It waits for one event of a closed set, applies it without awaiting,
//! plans anew, and launches, re-aims and recalls canaries as the plan says.

pub mod canary;
mod clock;
mod deaths;
mod early;
mod epoch;
mod flights;
mod hold;
pub mod kills;
pub mod life;
mod moves;
pub mod orders;
mod outcomes;
mod plans;
mod present;
mod report;
pub mod standstill;
pub mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::domain::conduct::suspension::{Headroom, Suspension};
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::History;
use crate::domain::limit::ladder::Ladder;
use crate::metrics::PathMetrics;
use crate::supervision::Pulse;
use crate::supervision::stop::Stop;
use deaths::Undecided;
use flights::{Flights, News};
use life::{Directive, Notice, World};
use report::RowsOfTheDead;

pub use epoch::Epoch;
pub use present::{Canary, MOST_DEATHS, Phase, Present, Publish, Recent};
pub use report::PathReport;

/// How long canaries may take to say COM_QUIT when the exporter stops.
const FAREWELL: Duration = Duration::from_millis(1600);
/// How soon a launch is tried again after one that did not come to be, in seconds, where nothing says
/// otherwise.
const RETRY_SECONDS: f64 = 0.5;
/// The pause after a fault of our own, in seconds.
const RETRY_AFTER_FAULT_SECONDS: f64 = 15.0;

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
    pub common_timeouts: Vec<f64>,
    /// Whether somebody waits for the answer: launches are not spread, and twins are sent out with the first canaries.
    pub hurried: bool,
}

/// What the rest of the exporter tells a path's loop.
#[derive(Debug, Clone)]
pub struct Wires {
    /// What the server's counts leave to canaries; told with each reading.
    pub headroom: watch::Receiver<Headroom>,
    /// Whether to stop.
    pub stop: Stop,
    /// Where the loop shows that it moves.
    pub pulse: Pulse,
    /// Where the lives of its canaries do.
    pub lives: Pulse,
}

/// Keeps a path's observations somewhere.
pub type Keeper = Box<dyn FnMut(&History) + Send>;

/// Where a path's loop keeps what it observed, and what it takes up from before.
#[derive(Default)]
pub struct Memory {
    /// What was observed before.
    pub history: History,
    /// Keeps it, after each observation and before it is published.
    pub keep: Option<Keeper>,
}

/// The loop of one path.
pub struct Prober<W> {
    world: W,
    settings: Settings,
    metrics: PathMetrics,
    publish: Publish,
    rows: RowsOfTheDead,
    history: History,
    keep: Option<Keeper>,
    undecided: Undecided,
    longest_stall: Option<f64>,
    /// When a twin of each kind was last launched, in seconds since the Unix epoch.
    twins_sent: BTreeMap<Kind, f64>,
    flights: Flights,
    suspended: BTreeSet<Suspension>,
    retry_at: Option<Instant>,
    wake: Option<Instant>,
    headroom: Headroom,
    /// Canaries that it did not count: on their way when it was read, or launched since.
    launched: usize,
    /// After how many moves of the path's address the history began.
    moves: u64,
    epoch: Epoch,
}

/// Everything that can happen to the loop.
#[derive(Debug)]
enum Event {
    News(News),
    Headroom,
    Crowded,
    Wake,
    Stop,
}

impl<W: World> Prober<W> {
    /// A loop that remembers what it saw before, with its times on the scale of `epoch`.
    pub fn new(
        world: W,
        settings: Settings,
        metrics: PathMetrics,
        publish: Publish,
        memory: Memory,
        epoch: Epoch,
    ) -> Self {
        Self {
            world,
            settings,
            metrics,
            publish,
            rows: RowsOfTheDead::default(),
            history: memory.history,
            keep: memory.keep,
            undecided: Undecided::default(),
            longest_stall: None,
            twins_sent: BTreeMap::new(),
            flights: Flights::new(),
            suspended: BTreeSet::new(),
            retry_at: None,
            wake: None,
            headroom: Headroom::default(),
            launched: 0,
            moves: 0,
            epoch,
        }
    }

    /// Runs until told to stop, then lets every canary say COM_QUIT. Gives what was observed.
    pub async fn run(mut self, mut wires: Wires) -> History {
        let pulse = wires.pulse.clone();
        self.set_headroom(*wires.headroom.borrow_and_update());
        self.report();
        if pulse.round_at_once(|| self.replan()).is_none() {
            self.rest(pulse.rest().as_secs_f64());
        }
        self.show_canaries();
        loop {
            let event = pulse.wait(self.select(&mut wires)).await;
            if matches!(event, Event::Stop) {
                break;
            }
            let round = pulse.round_at_once(|| {
                self.apply(event, &wires);
                self.review(false);
                self.replan();
                self.show_canaries();
            });
            if round.is_none() {
                // Nothing may wake it otherwise. What happens meanwhile waits to be heard.
                self.rest(pulse.rest().as_secs_f64());
                tokio::select! {
                    () = wires.stop.told() => break,
                    () = pulse.take_rest() => {}
                }
            }
        }
        self.stop(&wires).await;
        self.history
    }

    async fn select(&mut self, wires: &mut Wires) -> Event {
        let wake = [self.wake, self.retry_at].into_iter().flatten().min();
        tokio::select! {
            biased;
            () = wires.stop.told() => Event::Stop,
            Ok(()) = wires.headroom.changed() => Event::Headroom,
            () = self.world.crowded() => Event::Crowded,
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Event::Wake,
            news = self.flights.next() => Event::News(news),
        }
    }

    fn apply(&mut self, event: Event, wires: &Wires) {
        match event {
            Event::News(news) => self.hear(news, &wires.lives),
            Event::Headroom => self.set_headroom(*wires.headroom.borrow()),
            Event::Crowded => self.make_room(),
            Event::Wake | Event::Stop => {}
        }
    }

    fn hear(&mut self, news: News, lives: &Pulse) {
        self.follow_the_address();
        match news {
            News::Notice(notice) => {
                let is_birth = matches!(notice, Notice::Born { .. });
                let notice = self.sort_birth(notice);
                self.flights.note(notice, |name| self.history.number_of(name));
                if is_birth {
                    lives.note(true);
                    self.suspend(Suspension::ConnectFailing, false);
                    self.suspend(Suspension::ConnectionLimit, false);
                    self.retry_at = None;
                }
            }
            News::Outcome(kind, born, moves, outcome) => {
                let outcome = self.of_this_address(moves, outcome);
                self.settle(kind, born, outcome);
            }
            News::Lost(error) => {
                tracing::error!(event = "life_lost", error = %error, "a canary's task ended without an outcome");
                lives.note(false);
                self.rest(lives.rest().as_secs_f64().max(RETRY_AFTER_FAULT_SECONDS));
            }
        }
        self.count_connections();
    }

    fn rest(&mut self, seconds: f64) {
        let at = Instant::now() + Duration::from_secs_f64(seconds.clamp(0.05, 60.0));
        self.retry_at = Some(self.retry_at.map_or(at, |retry| retry.max(at)));
    }

    fn suspend(&mut self, reason: Suspension, suspended: bool) {
        let changed = if suspended { self.suspended.insert(reason) } else { self.suspended.remove(&reason) };
        if changed {
            self.metrics.set_suspended(reason, suspended);
            report::tell_suspension(&self.settings, reason, suspended);
        }
    }

    /// Takes a new reading. Where the applications are about to be refused, canaries give their places back.
    fn set_headroom(&mut self, headroom: Headroom) {
        // Those on their way were not counted there.
        let unborn = self.flights.iter().filter(|(_, flight)| flight.born.is_none()).count();
        (self.headroom, self.launched) = (headroom, unborn);
        self.suspend(Suspension::LowHeadroom, headroom.is_low());
        if headroom.is_low() {
            self.recall_unborn();
        }
        self.recall_longest(headroom.recalls());
    }

    async fn stop(&mut self, wires: &Wires) {
        self.flights.stop_all(if wires.stop.is_reload() { Directive::Leave } else { Directive::Stop });
        let deadline = Instant::now() + FAREWELL;
        while !self.flights.is_empty() {
            match timeout_at(deadline, self.flights.next()).await {
                Ok(news) => drop(wires.pulse.round_at_once(|| self.hear(news, &wires.lives))),
                Err(_) => break,
            }
        }
        wires.pulse.round_at_once(|| self.review(true));
    }
}

#[cfg(test)]
mod tests;
