//! Work for the processor that clients cause and that loops must not wait for: done apart, one piece at a time, resting as
//! long as it took, so that it never takes more than half of one processor. Those who wait take turns by where they come
//! from: one of them who asks for much waits for itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// The longest rest after a piece of work.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The turns of one sort of work. `K` is where a client comes from.
#[derive(Debug)]
pub(in crate::web) struct Turns<K: Copy + Ord> {
    /// How many may wait of one `K`, and of all.
    most: (usize, usize),
    inside: Mutex<Inside<K>>,
}

#[derive(Debug)]
struct Inside<K: Copy + Ord> {
    /// Somebody has the turn.
    taken: bool,
    waiting: BTreeMap<K, VecDeque<oneshot::Sender<Turn<K>>>>,
    /// Whose turn it was.
    last: Option<K>,
}

/// The turn, until it is dropped.
#[derive(Debug)]
struct Turn<K: Copy + Ord>(Option<Arc<Turns<K>>>);

impl<K: Copy + Ord> Drop for Turn<K> {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

/// Too many wait already, or the work failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) struct Busy;

impl<K: Copy + Ord + Send + 'static> Turns<K> {
    /// Nobody waits yet; so many may, of one and of all.
    pub(in crate::web) fn new(most: (usize, usize)) -> Arc<Self> {
        let inside = Inside { taken: false, waiting: BTreeMap::new(), last: None };
        Arc::new(Self { most, inside: Mutex::new(inside) })
    }

    /// Has this work done when it is `who`'s turn. It goes on to its end where the client goes away.
    pub(in crate::web) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        who: K,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let turn = self.take(who).await.ok_or(Busy)?;
        let (answer, answered) = oneshot::channel();
        spawn_blocking(move || {
            let begun = Instant::now();
            let outcome = work();
            let took = begun.elapsed();
            // Who went away needs no answer.
            let _ = answer.send(outcome);
            std::thread::sleep(took.min(LONGEST_REST));
            drop(turn);
        });
        answered.await.map_err(|_| Busy)
    }

    /// Waits for the turn; nothing where too many wait.
    async fn take(self: &Arc<Self>, who: K) -> Option<Turn<K>> {
        let (give, given) = oneshot::channel();
        {
            let mut inside = self.inside();
            if !inside.taken {
                inside.taken = true;
                inside.last = Some(who);
                return Some(Turn(Some(Arc::clone(self))));
            }
            if !inside.has_room(who, self.most) {
                return None;
            }
            inside.waiting.entry(who).or_default().push_back(give);
        }
        given.await.ok()
    }
}

impl<K: Copy + Ord> Turns<K> {
    fn inside(&self) -> MutexGuard<'_, Inside<K>> {
        // Each change is whole before anything can panic.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the turn to the next who still waits.
    fn pass_on(self: Arc<Self>) {
        loop {
            let Some(next) = self.inside().next() else { return };
            let Err(mut refused) = next.send(Turn(Some(Arc::clone(&self)))) else { return };
            // It is still ours.
            refused.0 = None;
        }
    }
}

impl<K: Copy + Ord> Inside<K> {
    /// Whether one more may wait. Those who went away are forgotten.
    fn has_room(&mut self, who: K, (of_one, of_all): (usize, usize)) -> bool {
        let own = self.waiting.get_mut(&who).map_or(0, |own| {
            own.retain(|waits| !waits.is_closed());
            own.len()
        });
        let all = |waiting: &BTreeMap<K, VecDeque<_>>| waiting.values().map(VecDeque::len).sum::<usize>();
        if all(&self.waiting) >= of_all {
            self.waiting.retain(|_, queue| {
                queue.retain(|waits| !waits.is_closed());
                !queue.is_empty()
            });
        }
        own < of_one && all(&self.waiting) < of_all
    }

    /// The first of those who come after the last one, in the order of where they come from.
    fn next(&mut self) -> Option<oneshot::Sender<Turn<K>>> {
        let after = self.last.and_then(|last| {
            use std::ops::Bound::{Excluded, Unbounded};
            self.waiting.range((Excluded(last), Unbounded)).next().map(|(&who, _)| who)
        });
        let Some(who) = after.or_else(|| self.waiting.keys().next().copied()) else {
            self.taken = false;
            return None;
        };
        self.last = Some(who);
        let queue = self.waiting.get_mut(&who)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&who);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets everybody that can go on go on.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_who_asks_for_much_waits_for_itself() {
        let turns = Turns::new((100, 1000));
        let first = turns.take(0).await.expect("nobody has it");
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut asking = Vec::new();
        for who in [1, 1, 1, 1, 2, 3, 3] {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            asking.push(tokio::spawn(async move {
                let turn = turns.take(who).await.expect("there is room");
                order.lock().expect("nobody panicked").push(who);
                tokio::task::yield_now().await;
                drop(turn);
            }));
            settle().await;
        }
        drop(first);
        for one in asking {
            one.await.expect("no panic");
        }
        assert_eq!(*order.lock().expect("nobody panicked"), [1, 2, 3, 1, 3, 1, 1]);
        assert!(!turns.inside().taken && turns.inside().waiting.is_empty());
    }

    #[tokio::test]
    async fn so_many_wait_and_those_who_went_away_hold_nobody_up() {
        let turns = Turns::new((2, 3));
        let first = turns.take(0).await.expect("nobody has it");
        let wait = |who| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { turns.take(who).await.is_some() })
        };
        let (one, two) = (wait(1), wait(1));
        settle().await;
        assert!(turns.take(1).await.is_none(), "two of one wait");
        let three = wait(2);
        settle().await;
        assert!(turns.take(3).await.is_none(), "three wait");
        one.abort();
        settle().await;
        let four = wait(3);
        settle().await;
        drop(first);
        assert!(two.await.is_ok_and(|had| had));
        assert!(three.await.is_ok_and(|had| had));
        assert!(four.await.is_ok_and(|had| had));
        assert!(turns.take(9).await.is_some(), "nobody has it any more");
    }

    #[tokio::test]
    async fn work_that_panics_is_nobody_elses_affair() {
        let turns = Turns::new((2, 3));
        assert_eq!(turns.work(1, || panic!("on purpose")).await, Err::<(), _>(Busy));
        assert_eq!(turns.work(1, || 7).await, Ok(7));
    }
}
