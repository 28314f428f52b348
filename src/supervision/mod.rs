//! Who owns the permanent loops: one set of tasks whose ends are events, as those of canaries are.
//!
//! A round that panics is a failed round: it is caught, counted, told, and rested after. A loop that ends
//! although nobody said stop ends the process, for a process that is gone is seen and a loop that is gone is
//! not. A loop that does neither, and does not move, is told at `/-/ready` (see `pulse`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::domain::conduct::health::Loop;

mod beat;
mod failpoint;
mod pulse;
pub mod stop;

pub use beat::until_next;
pub use failpoint::{Mode, is_due};
pub use pulse::{Health, Pulse};

/// How long a loop that was told to end may still run once nobody waits for it any more; then it is ended.
const LATEST: Duration = Duration::from_secs(60);

/// The permanent loops of a process. Dropping it ends them.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    running: BTreeMap<Id, Running>,
    parts: u64,
    /// How many loops run, by part and by name.
    counts: BTreeMap<Part, usize>,
    names: BTreeMap<Loop, usize>,
    /// Parts that were told to end: the ends of their loops are no events.
    leaving: BTreeSet<Part>,
    /// Those among them that nobody waits for any more, and when what is left of them is ended.
    late: BTreeMap<Part, Instant>,
    /// Ends that were heard while somebody waited for others.
    unheard: VecDeque<Ended>,
}

#[derive(Debug)]
struct Running {
    name: Loop,
    part: Part,
    task: AbortHandle,
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
        *self.counts.entry(part).or_default() += 1;
        *self.names.entry(name).or_default() += 1;
        self.running.insert(task.id(), Running { name, part, task });
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

    /// Waits for one more end, whoever's; ends what is too late meanwhile.
    async fn hear_one(&mut self) {
        let joined = loop {
            let first_deadline = self.late.values().min().copied();
            let deadline = async {
                match first_deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                joined = self.tasks.join_next_with_id() => match joined {
                    Some(joined) => break joined,
                    None => return std::future::pending().await,
                },
                () = deadline => self.end_the_latest(),
            }
        };
        let (id, panicked) = match joined {
            Ok((id, ())) => (id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        let Some(Running { name, part, .. }) = self.running.remove(&id) else { return };
        one_less(&mut self.counts, part);
        one_less(&mut self.names, name);
        if !self.leaving.contains(&part) {
            self.unheard.push_back(Ended { name, panicked });
        } else if self.late.contains_key(&part) {
            let name = name.label();
            tracing::info!(event = "late_loop_ended", loop = name, panicked, "the late loop {name} has ended");
        }
        if !self.counts.contains_key(&part) {
            // A part whose loops have all ended needs no place in the lists any more.
            self.leaving.remove(&part);
            self.late.remove(&part);
        }
    }

    /// Ends the loops that were told to end [`LATEST`] ago and did not.
    fn end_the_latest(&mut self) {
        let now = Instant::now();
        let is_too_late = |part: &Part| self.late.get(part).is_some_and(|deadline| *deadline <= now);
        for Running { name, task, .. } in self.running.values().filter(|loop_of| is_too_late(&loop_of.part)) {
            let name = name.label();
            tracing::warn!(
                event = "late_loop_aborted",
                loop = name,
                "the loop {name} was told to end {} s ago and did not: it is ended where it stands",
                LATEST.as_secs()
            );
            task.abort();
        }
        // Each is ended once: its end is heard like any other.
        self.late.retain(|_, deadline| *deadline > now);
    }

    /// Waits until every loop of these parts has ended, which were told to, and for `patience` at most: what has not
    /// ended by then is told, and has a minute more, for which whoever waits for ends stands in.
    pub async fn part_with(&mut self, parts: &BTreeSet<Part>, patience: Duration) {
        let run: Vec<Part> = parts.iter().copied().filter(|part| self.counts.contains_key(part)).collect();
        self.leaving.extend(&run);
        let all = async {
            for part in &run {
                while self.counts.contains_key(part) {
                    self.hear_one().await;
                }
            }
        };
        if timeout(patience, all).await.is_ok() {
            return;
        }
        let late: Vec<Part> = run.into_iter().filter(|part| self.counts.contains_key(part)).collect();
        let deadline = Instant::now() + LATEST;
        self.late.extend(late.into_iter().map(|part| (part, deadline)));
        let names: BTreeSet<&str> = self
            .running
            .values()
            .filter(|loop_of| self.late.contains_key(&loop_of.part))
            .map(|loop_of| loop_of.name.label())
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        tracing::warn!(
            event = "loops_late",
            loops = names.join(","),
            "loops that a reload told to end still run: they have {} s more",
            LATEST.as_secs()
        );
    }

    /// Waits so long for the end of every loop but `these`. Those that are late are told, and dropped with the supervisor.
    pub async fn wind_down(&mut self, these: &[Loop], patience: Duration) {
        if timeout(patience, self.all_ended_but(these)).await.is_err() {
            let late = self.names.keys().filter(|name| !these.contains(name));
            let loops = late.map(|name| name.label()).collect::<Vec<_>>().join(", ");
            tracing::warn!(event = "loops_cut", loops, "the exporter ends without waiting for: {loops}");
        }
    }

    /// Waits until every loop but `these` has ended.
    pub async fn all_ended_but(&mut self, these: &[Loop]) {
        while self.names.keys().any(|name| !these.contains(name)) {
            self.hear_one().await;
        }
    }
}

/// Counts one less, and forgets what there is none of.
fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, of: K) {
    if let Entry::Occupied(mut count) = counts.entry(of) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
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
        assert!(supervisor.late.is_empty() && supervisor.leaving.is_empty() && supervisor.counts.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_end_when_told_to_is_ended_a_minute_later() {
        let mut supervisor = Supervisor::default();
        let part = supervisor.new_part();
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        supervisor.spawn_in(part, Loop::Witness, async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        supervisor.part_with(&BTreeSet::from([part]), Duration::from_secs(3)).await;
        let begun = Instant::now();
        let heard = tokio::spawn(async move { supervisor.ended().await });
        assert!(dropped.await.is_err(), "it is gone with all it had");
        assert_eq!(begun.elapsed(), LATEST);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!heard.is_finished(), "its end is no event");
        heard.abort();
    }
}
