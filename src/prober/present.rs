//! What goes on on a path now, as people see it: the canaries that live, the newest deaths, and how many lives ended
//! how at each age.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::deaths::Decided;
use super::flights::Flight;
use super::life::World;
use super::{PathReport, Prober};
use crate::domain::conduct::suspension::Suspension;
use crate::domain::culprit::Culprit;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, History, Observation};
use crate::domain::life::tally::{Tally, tally};

/// So many of the newest deaths are told one by one.
pub const MOST_DEATHS: usize = 50;

/// Where a path's loop tells what it knows.
#[derive(Debug)]
pub struct Publish {
    /// What is known of the path.
    pub report: watch::Sender<PathReport>,
    /// What goes on on it now.
    pub present: watch::Sender<Present>,
}

/// What goes on on a path now.
#[derive(Debug, Clone, Default)]
pub struct Present {
    /// The canaries in flight, in the order of their launch.
    pub canaries: Vec<Canary>,
    /// The newest deaths, the newest last.
    pub deaths: VecDeque<Recent>,
    /// How many lives ended how at each age, of those that are remembered.
    pub tallies: Arc<[Tally]>,
    /// When the oldest life ended that is remembered, on the scale of the epoch. `None` while there is none.
    pub since: Option<f64>,
    /// Why no canary is launched now.
    pub suspended: BTreeSet<Suspension>,
}

/// One canary in flight.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// What it does.
    pub kind: Kind,
    /// The idle age that it is to be probed at, in seconds.
    pub aim: f64,
    /// When it began to be idle; `None` while it connects.
    pub born: Option<Instant>,
    /// How far it is.
    pub phase: Phase,
}

/// How far a canary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It logs in.
    Connecting,
    /// It is held.
    Held,
    /// Something happened to it, and a witness is asked.
    Dying,
    /// It says COM_QUIT: its outcome can teach nothing any more.
    Leaving,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 4] = [Self::Connecting, Self::Held, Self::Dying, Self::Leaving];

    /// Its name in the status document.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Held => "held",
            Self::Dying => "dying",
            Self::Leaving => "leaving",
        }
    }
}

/// One death, as it is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Recent {
    /// When it was heard, or probed in vain, on the scale of the epoch.
    pub at: f64,
    /// What the canary did.
    pub kind: Kind,
    /// The idle age that it died at, or was found dead at, in seconds.
    pub age: f64,
    /// Whether the age is that of the death itself.
    pub exact: bool,
    /// What the wire showed.
    pub ending: Ending,
    /// Who did it.
    pub culprit: Culprit,
    /// Which rule concluded that. `None` for a death that was kept from before the start.
    pub rule: Option<&'static str>,
    /// The server's thread id. `None` for a death that was kept from before the start.
    pub thread_id: Option<u64>,
    /// The server's error code, where it gave one.
    pub error_code: Option<u16>,
    /// From sending to knowing, in seconds, where something was sent.
    pub stall: Option<f64>,
}

impl Present {
    /// What a history says that was kept from before.
    pub fn new(history: &History) -> Self {
        let died = |seen: &Observation| match seen.fate {
            Fate::Lived => None,
            Fate::Died { ending, exact, culprit, .. } => Some(Recent {
                at: seen.at,
                kind: seen.kind,
                age: seen.age,
                exact,
                ending,
                culprit,
                rule: None,
                thread_id: None,
                error_code: None,
                stall: None,
            }),
        };
        let mut deaths: VecDeque<Recent> = history.iter().rev().filter_map(died).take(MOST_DEATHS).collect();
        deaths.make_contiguous().reverse();
        let mut present = Self { deaths, ..Self::default() };
        present.tell(history);
        present
    }

    fn tell(&mut self, history: &History) {
        self.tallies = tally(history).into();
        self.since = history.iter().next().map(|seen| seen.at);
    }
}

impl<W: World> Prober<W> {
    /// Counts the canaries that are held.
    pub(super) fn count_connections(&self) {
        for kind in Kind::ALL {
            let held = self
                .flights
                .iter()
                .filter(|(_, flight)| flight.kind == kind && flight.born.is_some())
                .count();
            self.metrics.set_connections(kind, held);
        }
    }

    /// Shows the canaries that are in flight now.
    pub(super) fn show_canaries(&self) {
        let canaries: Vec<Canary> = self.flights.iter().map(|(_, flight)| canary(flight)).collect();
        self.publish.present.send_if_modified(|present| {
            let is_news = present.canaries != canaries || present.suspended != self.suspended;
            if is_news {
                present.canaries = canaries;
                present.suspended.clone_from(&self.suspended);
            }
            is_news
        });
    }

    /// Shows what the lives came to that are remembered.
    pub(super) fn show_lives(&self) {
        self.publish.present.send_modify(|present| present.tell(&self.history));
    }

    /// Shows a death.
    pub(super) fn show_death(&self, decided: &Decided) {
        let Decided { kind, death, at, conclusion, .. } = decided;
        self.publish.present.send_modify(|present| {
            if present.deaths.len() >= MOST_DEATHS {
                present.deaths.pop_front();
            }
            present.deaths.push_back(Recent {
                at: *at,
                kind: *kind,
                age: death.age,
                exact: death.exact,
                ending: death.ending,
                culprit: conclusion.culprit,
                rule: Some(conclusion.rule),
                thread_id: Some(death.thread_id),
                error_code: death.error_code,
                stall: death.stall,
            });
        });
    }
}

fn canary(flight: &Flight) -> Canary {
    let phase = match flight.born {
        None => Phase::Connecting,
        Some(_) if flight.stirred.is_some() => Phase::Dying,
        Some(_) if flight.is_held() => Phase::Held,
        Some(_) => Phase::Leaving,
    };
    Canary { kind: flight.kind, aim: flight.age, born: flight.born, phase }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_gives_the_newest_deaths_in_order_and_without_what_was_not_kept() {
        let mut history = History::default();
        for at in 0..2 * MOST_DEATHS {
            let (ending, culprit) = (Ending::Reset, Culprit::NetworkIdleTimeout);
            let fate = Fate::Died { ending, exact: true, culprit, recurs: false, killed: None };
            history.push(Observation { at: at as f64, kind: Kind::Idle, age: 30.0, fate, server: None });
        }
        let present = Present::new(&history);
        let times: Vec<f64> = present.deaths.iter().map(|death| death.at).collect();
        assert_eq!(times, (MOST_DEATHS..2 * MOST_DEATHS).map(|at| at as f64).collect::<Vec<_>>());
        assert!(present.deaths.iter().all(|death| death.rule.is_none() && death.thread_id.is_none()));
        assert_eq!((present.since, present.tallies.len()), (Some(0.0), 1));
    }
}
