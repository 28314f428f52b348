//! Who owns the permanent loops: one set of tasks whose ends are events, as those of canaries are.
//!
//! A round that panics is a failed round: it is caught, counted, told, and rested after. A loop that ends
//! although nobody said stop ends the process, for a process that is gone is seen and a loop that is gone is
//! not. A loop that does neither, and does not move, is told at `/-/ready` (see `pulse`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;

use crate::domain::conduct::health::Loop;

mod beat;
mod failpoint;
mod pulse;
pub mod stop;

pub use beat::until_next;
pub use failpoint::{Mode, is_due};
pub use pulse::{Health, Pulse};

/// The permanent loops of a process. Dropping it ends them.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    names: BTreeMap<Id, (Loop, Part)>,
    parts: u64,
    /// Parts that were told to end: the ends of their loops are no events.
    leaving: BTreeSet<Part>,
    /// Ends that were heard while somebody waited for others.
    unheard: VecDeque<Ended>,
}

/// Loops that end together: those of a path, of a target, or of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part(u64);

impl Part {
    /// The loops that live as long as the process.
    pub const PROCESS: Self = Self(0);
}

/// A loop that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub name: Loop,
    /// Whether it panicked, rather than returned.
    pub panicked: bool,
}

impl Supervisor {
    /// Starts a loop that lives as long as the process.
    pub fn spawn(&mut self, name: Loop, body: impl Future<Output = ()> + Send + 'static) {
        self.spawn_in(Part::PROCESS, name, body);
    }

    /// Starts a loop of a part.
    pub fn spawn_in(&mut self, part: Part, name: Loop, body: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(failpoint::around(name, body));
        self.names.insert(task.id(), (name, part));
    }

    /// A part that has no loops yet.
    pub fn new_part(&mut self) -> Part {
        self.parts += 1;
        Part(self.parts)
    }

    /// Waits until a loop ends that nobody told to; for ever, while there is none.
    pub async fn ended(&mut self) -> Ended {
        loop {
            if let Some(ended) = self.unheard.pop_front() {
                return ended;
            }
            self.hear_one().await;
        }
    }

    /// Waits for one more end, whoever's.
    async fn hear_one(&mut self) {
        let Some(joined) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        let (id, panicked) = match joined {
            Ok((id, ())) => (id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        let Some((name, part)) = self.names.remove(&id) else { return };
        if !self.leaving.contains(&part) {
            self.unheard.push_back(Ended { name, panicked });
        }
    }

    /// Waits until every loop of these parts has ended, which were told to, and for `patience` at most: what has not
    /// ended by then is left to end by itself, unheard.
    pub async fn part_with(&mut self, parts: &BTreeSet<Part>, patience: Duration) {
        self.leaving.extend(parts.iter().copied());
        let all = async {
            while self.names.values().any(|(_, part)| parts.contains(part)) {
                self.hear_one().await;
            }
        };
        // A part whose loops have all ended needs no place in the list any more.
        let _ = timeout(patience, all).await;
        let names = &self.names;
        self.leaving.retain(|part| names.values().any(|(_, of)| of == part));
    }

    /// Waits until every loop but `these` has ended.
    pub async fn all_ended_but(&mut self, these: &[Loop]) {
        while self.names.values().any(|(name, _)| !these.contains(name)) {
            self.hear_one().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_loop_is_an_event_however_it_ended() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn(Loop::Web, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        supervisor.spawn(Loop::Witness, async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            panic!("on purpose");
        });
        supervisor.spawn(Loop::Log, std::future::pending());
        assert_eq!(supervisor.ended().await, Ended { name: Loop::Web, panicked: false });
        supervisor.all_ended_but(&[Loop::Log, Loop::Witness]).await;
        assert_eq!(supervisor.ended().await, Ended { name: Loop::Witness, panicked: true });
        supervisor.all_ended_but(&[Loop::Log]).await;
        supervisor.unheard.clear();
        let more = tokio::time::timeout(Duration::from_secs(60), supervisor.ended()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_was_told_to_end_is_waited_for_and_its_end_is_no_event() {
        let mut supervisor = Supervisor::default();
        let (first, second) = (supervisor.new_part(), supervisor.new_part());
        let lasts = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        supervisor.spawn_in(first, Loop::Prober, lasts(1));
        supervisor.spawn_in(first, Loop::Witness, async { panic!("on purpose") });
        supervisor.spawn_in(second, Loop::Prober, lasts(2));
        let begun = tokio::time::Instant::now();
        supervisor.part_with(&BTreeSet::from([first]), Duration::from_secs(60)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(supervisor.ended().await, Ended { name: Loop::Prober, panicked: false });
        assert_eq!(begun.elapsed(), Duration::from_secs(2), "the second part's, which nobody told to");
        // One that does not end is not waited for without end, and is no event when it does.
        let third = supervisor.new_part();
        supervisor.spawn_in(third, Loop::Diagnosis, lasts(10));
        supervisor.part_with(&BTreeSet::from([third]), Duration::from_secs(3)).await;
        supervisor.spawn_in(second, Loop::Headroom, lasts(60));
        assert_eq!(supervisor.ended().await.name, Loop::Headroom);
    }
}
