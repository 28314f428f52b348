//! The canaries in flight: their numbers, ages, orders and tasks.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::Instrument;

use super::life::{Assignment, Directive, Notice, Orders, Outcome, World};
use super::orders::{self, Teller};
use crate::domain::life::kind::Kind;

/// Everything in flight on one path.
#[derive(Debug)]
pub(super) struct Flights {
    flights: BTreeMap<u64, Flight>,
    tasks: BTreeMap<Id, u64>,
    lives: JoinSet<Outcome>,
    next_id: u64,
    /// How many twins that were sent out before anything died were born, by kind.
    early_born: BTreeMap<Kind, usize>,
    notices: (mpsc::UnboundedSender<Notice>, mpsc::UnboundedReceiver<Notice>),
}

/// One canary to launch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch {
    /// What it is to do.
    pub(super) kind: Kind,
    /// The idle age to probe it at, in seconds.
    pub(super) age: f64,
    /// The longest idle age it may be aimed at, in seconds.
    pub(super) longest: f64,
    /// Whether it is a twin that is sent out before anything died.
    pub(super) early: bool,
    /// How long it may wait at most, in seconds, so that launches are spread.
    pub(super) spread: f64,
}

/// One canary in flight.
#[derive(Debug)]
pub(super) struct Flight {
    /// What it does.
    pub(super) kind: Kind,
    /// The idle age it is aimed at, in seconds.
    pub(super) age: f64,
    /// The longest idle age it may be aimed at, in seconds.
    longest: f64,
    /// Whether it is a twin that was sent out before anything died.
    pub(super) early: bool,
    /// When it began to be idle; `None` while it still connects.
    pub(super) born: Option<Instant>,
    /// Which server it is on, by its number in the history.
    pub(super) server: Option<u16>,
    /// After how many moves of the path's address it connected; `None` while it still connects.
    pub(super) moves: Option<u64>,
    /// When something happened to it: its outcome is on its way.
    pub(super) stirred: Option<Instant>,
    orders: Teller,
}

/// What is new of a canary.
#[derive(Debug)]
pub(super) enum News {
    /// It says something while it lives.
    Notice(Notice),
    /// Its life is over: what it did, when it began to be idle, after how many moves of the path's address it
    /// connected, what became of it.
    Outcome(Kind, Option<Instant>, Option<u64>, Outcome),
    /// Its task ended without an outcome: a fault of ours.
    Lost(JoinError),
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            flights: BTreeMap::new(),
            tasks: BTreeMap::new(),
            lives: JoinSet::new(),
            next_id: 0,
            early_born: BTreeMap::new(),
            notices: mpsc::unbounded_channel(),
        }
    }

    /// Launches a canary.
    pub(super) fn launch(&mut self, world: &impl World, launch: Launch) {
        let Launch { kind, age, longest, early, spread } = launch;
        self.next_id += 1;
        let id = self.next_id;
        let (orders, receiver) = orders::channel(Orders { age, directive: Directive::Hold });
        let life = world.live(Assignment {
            id,
            kind,
            early,
            delay: fastrand::f64() * spread,
            longest,
            orders: receiver,
            notices: self.notices.0.clone(),
        });
        let task = self.lives.spawn(life.in_current_span());
        self.tasks.insert(task.id(), id);
        self.flights.insert(
            id,
            Flight {
                kind,
                age,
                longest,
                early,
                born: None,
                server: None,
                moves: None,
                stirred: None,
                orders,
            },
        );
    }

    /// The next thing that a canary says, or its end. Never, while none is in flight.
    pub(super) async fn next(&mut self) -> News {
        tokio::select! {
            biased;
            Some(notice) = self.notices.1.recv() => News::Notice(notice),
            Some(landed) = self.lives.join_next_with_id() => match landed {
                Err(error) => {
                    self.land(error.id());
                    News::Lost(error)
                }
                Ok((task, outcome)) => match self.land(task) {
                    Some(flight) => {
                        News::Outcome(flight.kind, flight.born, flight.moves, outcome.of_aim(flight.age))
                    }
                    // Not reached: each task has its flight.
                    None => News::Outcome(Kind::Idle, None, None, Outcome::Recalled),
                },
            },
            else => std::future::pending().await,
        }
    }

    fn land(&mut self, task: Id) -> Option<Flight> {
        self.flights.remove(&self.tasks.remove(&task)?)
    }

    /// Takes note of what a canary said.
    pub(super) fn note(&mut self, notice: Notice, number_of: impl FnOnce(Option<&str>) -> Option<u16>) {
        match notice {
            Notice::Born { id, at, server, moves } => {
                if let Some(flight) = self.flights.get_mut(&id) {
                    (flight.born, flight.moves) = (Some(at), Some(moves));
                    flight.server = number_of(server.as_deref());
                    if flight.early {
                        *self.early_born.entry(flight.kind).or_default() += 1;
                    }
                }
            }
            Notice::Stirred { id } => {
                if let Some(flight) = self.flights.get_mut(&id) {
                    flight.stirred = Some(Instant::now());
                }
            }
        }
    }

    /// Every canary in flight, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Flight)> {
        self.flights.iter().map(|(&id, flight)| (id, flight))
    }

    /// How many twins of a kind that are sent out before anything died were born, or are on their way: one that was
    /// refused is sent again.
    pub(super) fn early(&self, kind: Kind) -> usize {
        let is_coming = |flight: &&Flight| flight.early && flight.kind == kind && flight.born.is_none();
        let coming = self.flights.values().filter(is_coming).count();
        coming + self.early_born.get(&kind).copied().unwrap_or_default()
    }

    /// How many are in flight, those on their way home among them.
    pub(super) fn len(&self) -> usize {
        self.flights.len()
    }

    /// Whether none is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Aims a canary at another idle age, in seconds; no further than it was prepared for.
    pub(super) fn aim(&mut self, id: u64, age: f64) {
        if let Some(flight) = self.flights.get_mut(&id) {
            let age = age.min(flight.longest);
            flight.age = age;
            flight.orders.change(|orders| orders.age = age);
        }
    }

    /// Takes a canary back.
    pub(super) fn call(&self, id: u64, directive: Directive) {
        if let Some(flight) = self.flights.get(&id) {
            flight.orders.change(|orders| orders.directive = directive);
        }
    }

    /// Tells every canary to stop.
    pub(super) fn stop_all(&self, word: Directive) {
        for flight in self.flights.values() {
            flight.orders.change(|orders| orders.directive = word);
        }
    }
}

impl Flight {
    /// Whether it is held, and not on its way home.
    pub(super) fn is_held(&self) -> bool {
        self.orders.orders().directive == Directive::Hold
    }

    /// Whether something happened to it before its probe was due: its outcome is on its way, and no
    /// plan reaches it any more.
    pub(super) fn has_died_early(&self, now: Instant) -> bool {
        let idle = self.born.map_or(0.0, |born| now.saturating_duration_since(born).as_secs_f64());
        self.stirred.is_some() && idle < self.age
    }

    /// When something happened to it before its probe was due, and the idle age in seconds that it had.
    pub(super) fn struck(&self) -> Option<(Instant, f64)> {
        let (born, at) = self.born.zip(self.stirred)?;
        let idle = at.saturating_duration_since(born).as_secs_f64();
        (self.is_held() && idle < self.age).then_some((at, idle))
    }

    /// Whether it is held, and nothing has happened to it.
    pub(super) fn is_well(&self) -> bool {
        self.is_held() && self.stirred.is_none()
    }

    /// Whether it is an idle canary, well at this moment and idle for longer than an age in seconds.
    pub(super) fn outlives(&self, age: f64, now: Instant) -> bool {
        let idle = self.born.map(|born| now.saturating_duration_since(born).as_secs_f64());
        self.kind == Kind::Idle && self.is_well() && idle.is_some_and(|idle| idle > age)
    }
}
